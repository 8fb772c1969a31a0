"""Housekeeping: expiry of readings, means and events."""

import sqlite3

from bus.config.history_table import HistoryConfig
from hub_app.history.query.series import SeriesReader
from hub_app.history.retention.housekeeping import Housekeeping
from hub_app.history.writer import Arrival, Writer
from tests.hub_app.history.samples import DAY, START, downsample, fill, query, reading


def test_old_readings_are_deleted_and_their_means_stay(db: sqlite3.Connection) -> None:
    fill(db, 0, 600)
    Writer(db).store([], [], START + DAY)
    downsample(db, START + 31 * DAY)
    assert db.execute("SELECT count(*) FROM readings").fetchone() == (0,)
    found = SeriesReader(db).series(query("t", START, START + 1_200_000))
    assert (found.source, len(found.points)) == ("means", 4)
    # One that comes later still is added to the mean that is there.
    Writer(db).store([Arrival(reading(600, START), True)], [], START + 31 * DAY)
    downsample(db, START + 31 * DAY)
    assert SeriesReader(db).series(query("t", START, START + 1000)).points[0][4] == 151


def test_a_hub_whose_clock_is_ahead_deletes_nothing(db: sqlite3.Connection) -> None:
    fill(db, 0, 10)
    Writer(db).store([], [], START + DAY)
    housekeeping = Housekeeping(db, HistoryConfig())
    while housekeeping.step(START + 3650 * DAY, START):
        pass
    assert db.execute("SELECT count(*) FROM readings").fetchone() == (10,)


def test_old_means_are_deleted(db: sqlite3.Connection) -> None:
    fill(db, 0, 10)
    Writer(db).store([], [], START + DAY)
    downsample(db, START + DAY)
    housekeeping = Housekeeping(db, HistoryConfig(mean_days=10))
    for _ in range(5):
        housekeeping.delete_old_means(START + 11 * DAY)
    assert db.execute("SELECT count(*) FROM mean").fetchone() == (0,)
