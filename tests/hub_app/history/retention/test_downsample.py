"""Downsampling of readings to 5-minute means."""

import sqlite3

from hub_app.history.query.series import SeriesReader
from hub_app.history.writer import Arrival, Writer
from tests.hub_app.history.samples import DAY, START, downsample, fill, query, reading


def test_a_mean_is_made_again_when_a_reading_comes_late(db: sqlite3.Connection) -> None:
    fill(db, 0, 10)
    Writer(db).store([], [], START + DAY)
    downsample(db, START + DAY)
    late = reading(10)
    Writer(db).store([Arrival(late, True)], [], START + 2 * DAY)
    downsample(db, START + 2 * DAY)
    (point,) = SeriesReader(db).series(query("t", START - 40 * DAY, START + DAY)).points
    assert point == (START, 5.0, 0.0, 10.0, 11)
