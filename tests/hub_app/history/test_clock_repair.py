"""Repair of timestamps from before the clock of a node was set."""

import sqlite3

from hub_app.history.query import SeriesReader
from hub_app.history.schema import BUCKET_MS
from hub_app.history.writer import Arrival, Writer
from tests.hub_app.history.samples import DAY, START, downsample, query, reading


def times(db: sqlite3.Connection) -> list[tuple[int, int]]:
    return db.execute(
        "SELECT timestamp_ms, redated FROM readings ORDER BY timestamp_ms, seq"
    ).fetchall()


def test_readings_of_an_unset_clock_are_moved_when_it_is_set(db: sqlite3.Connection) -> None:
    month = 30 * DAY
    wrong = [
        reading(n, START - month + n, boot_id="b", monotonic_ms=1000 + n, clock="unset")
        for n in range(3)
    ]
    right = reading(9, START + 500, boot_id="b", monotonic_ms=1500)
    late = reading(4, START - month + 50, boot_id="b", monotonic_ms=1050, clock="unset")
    writer = Writer(db)
    for batch in (wrong, [right], [late]):
        writer.store([Arrival(one, False) for one in batch], [], START)
    assert times(db) == [
        *((START + n, 1) for n in range(3)),
        (START + 50, 1),
        (START + 500, 0),
    ]
    assert db.execute("SELECT count(*) FROM unset").fetchone() == (0,)
    writer.store([], [], START + DAY)
    downsample(db, START + DAY)
    (found,) = SeriesReader(db).series(query("t", START - 2 * month, START + DAY)).points
    assert (found[0], found[4]) == (START - START % BUCKET_MS, 5)


def test_a_writer_that_begins_anew_still_knows_whose_clock_was_wrong(
    db: sqlite3.Connection,
) -> None:
    unset = reading(1, START - DAY, boot_id="b", monotonic_ms=1000, clock="unset")
    Writer(db).store([Arrival(unset, False)], [], START)
    right = reading(2, START + 500, boot_id="b", monotonic_ms=1500)
    Writer(db).store([Arrival(right, False)], [], START)
    assert times(db) == [(START, 1), (START + 500, 0)]
