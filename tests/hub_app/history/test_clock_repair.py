"""Repair of timestamps from before the clock of a node was set."""

import sqlite3

import pytest

from bus.contract.bounds import LATEST_MS
from hub_app.history.query.series import SeriesReader
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


def test_the_work_is_bounded_by_readings_and_not_by_their_numbers(db: sqlite3.Connection) -> None:
    far = [
        reading(seq, START - DAY, boot_id="b", monotonic_ms=1000, clock="unset")
        for seq in (0, 2**53)
    ]
    right = reading(5, START + 500, boot_id="b", monotonic_ms=1500)
    writer = Writer(db)
    writer.store([Arrival(one, False) for one in (*far, right)], [], START)
    assert times(db) == [(START, 1), (START, 1), (START + 500, 0)]
    assert db.execute("SELECT count(*) FROM unset").fetchone() == (0,)


def test_nodes_take_turns_in_the_repair(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_app.history.clock_repair._REPAIRED_AT_ONCE", 10)
    writer = Writer(db)
    many = [
        reading(n, START - DAY + n, boot_id="b", monotonic_ms=1000 + n, clock="unset")
        for n in range(1000)
    ]
    few = reading(1, START - DAY, node="pi5", boot_id="b", monotonic_ms=1000, clock="unset")
    right = [
        reading(5000, START + 5000, node=node, boot_id="b", monotonic_ms=6000)
        for node in ("pi4", "pi5")
    ]
    writer.store([Arrival(one, False) for one in (*many, few)], [], START)
    writer.store([Arrival(one, False) for one in right], [], START)
    writer.store([], [], START)
    repaired = db.execute("SELECT count(*) FROM readings WHERE node = 'pi5' AND redated").fetchone()
    assert repaired == (1,)
    for _ in range(200):
        writer.store([], [], START)
    assert db.execute("SELECT count(*) FROM unset").fetchone() == (0,)
    assert db.execute("SELECT count(*) FROM readings WHERE redated").fetchone() == (1001,)


def test_one_commit_repairs_the_readings_of_many_nodes(db: sqlite3.Connection) -> None:
    writer = Writer(db)
    names = [f"node-{number}" for number in range(40)]
    wrong = [
        reading(1, START - DAY, node=name, boot_id="b", monotonic_ms=1000, clock="unset")
        for name in names
    ]
    right = [reading(2, START + 500, node=name, boot_id="b", monotonic_ms=1500) for name in names]
    writer.store([Arrival(one, False) for one in (*wrong, *right)], [], START)
    assert times(db) == [*((START, 1) for _ in names), *((START + 500, 0) for _ in names)]


def test_an_offset_never_leads_beyond_the_calendar(db: sqlite3.Connection) -> None:
    unset = reading(1, 0, boot_id="b", monotonic_ms=7 * 10**12, clock="unset")
    right = reading(2, LATEST_MS, boot_id="b", monotonic_ms=0)
    Writer(db).store([Arrival(one, False) for one in (unset, right)], [], START)
    assert max(at_ms for at_ms, _ in times(db)) <= LATEST_MS
