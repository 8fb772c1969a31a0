"""Queries for one field of one sensor, from single readings and from means."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from hub_app.history.query.lookup import UnknownSensorError
from hub_app.history.query.series import ChartQuery, ChartSeries, SeriesQuery, SeriesReader
from hub_app.history.schema import open_for_reading, open_history
from hub_app.history.writer import Arrival, Writer
from tests.hub_app.history.samples import DAY, START, downsample, fill, query, reading


def test_a_short_range_is_answered_from_readings(db: sqlite3.Connection) -> None:
    fill(db, 0, 600)
    found = SeriesReader(db).series(query("t", START + 100, START + 20_001))
    assert found.source == "readings"
    assert [point[1] for point in found.points] == [float(n) for n in range(1, 11)]
    assert found.points[0] == (START + 2000, 1.0, 1.0, 1.0, 1)


def test_more_readings_than_points_are_grouped_and_none_is_left_out(
    db: sqlite3.Connection,
) -> None:
    fill(db, 0, 600)
    found = SeriesReader(db).series(query("t", START, START + 1_200_000, points=7)).points
    assert len(found) == 7
    assert sum(point[4] for point in found) == 600
    assert (found[0][2], found[-1][3]) == (0.0, 599.0)


def test_a_long_range_is_answered_from_means_and_agrees(db: sqlite3.Connection) -> None:
    fill(db, 0, 600)
    long = query("t", START - 40 * DAY, START + DAY, points=10_000)
    before = SeriesReader(db).series(long)
    Writer(db).store([], [], START + DAY)
    downsample(db, START + DAY)
    after = SeriesReader(db).series(long)
    assert before.source == after.source == "means"
    assert before.points == after.points
    assert [point[4] for point in after.points] == [150, 150, 150, 150]
    assert after.points[0] == (START, 74.5, 0.0, 149.0, 150)


def test_a_boolean_has_a_mean_and_a_text_has_none(db: sqlite3.Connection) -> None:
    fill(db, 0, 10)
    assert SeriesReader(db).series(query("up", START, START + DAY)).points[0][1] == 1.0
    assert SeriesReader(db).series(query("text", START, START + DAY)).points == []


def test_what_is_not_there_is_named(db: sqlite3.Connection) -> None:
    fill(db, 0, 1)
    with pytest.raises(UnknownSensorError, match="expected one of t, text, up"):
        SeriesReader(db).series(query("humidity", 0, 1))
    with pytest.raises(UnknownSensorError, match="pi4:attic"):
        SeriesReader(db).series(SeriesQuery("pi4", "attic", "t", 0, 1, 1))


def test_it_is_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with contextlib.closing(open_history(path)) as db:
        fill(db, 0, 10)
        with contextlib.closing(open_for_reading(path)) as reader:
            fill(db, 10, 20)
            assert len(SeriesReader(reader).series(query("t", START, START + DAY)).points) == 20
            with pytest.raises(sqlite3.OperationalError):
                reader.execute("DELETE FROM reading")


def chart(db: sqlite3.Connection, from_ms: int, to_ms: int, width: int) -> ChartSeries:
    return SeriesReader(db).chart(ChartQuery("pi4", "room", ["t", "up"], from_ms, to_ms, width))


def test_a_chart_has_the_same_buckets_wherever_it_begins(db: sqlite3.Connection) -> None:
    fill(db, 0, 600)
    whole = chart(db, START, START + 1_200_000, 100)
    part = chart(db, START + 100_000, START + 1_100_000, 100)
    assert (whole.source, whole.bucket_ms, part.bucket_ms) == ("readings", 15_000, 10_000)
    assert all(point[0] % 10_000 == 0 or point[4] == 1 for point in part.series[0].points)
    assert sum(point[4] for point in whole.series[0].points) == 600
    assert [each.field for each in whole.series] == ["t", "up"]
    assert {point[1] for point in whole.series[1].points} == {1.0}


def test_a_lone_reading_has_its_own_time_in_a_chart(db: sqlite3.Connection) -> None:
    fill(db, 0, 5)
    points = chart(db, START + 1, START + 60_000, 1000).series[0].points
    assert points == [(START + n * 2000, float(n), float(n), float(n), 1) for n in range(1, 5)]


def test_a_spike_of_one_sample_is_in_the_band_at_every_resolution(db: sqlite3.Connection) -> None:
    fill(db, 0, 600)
    spike = reading(9999, START + 301_000, data={"t": 5000.0, "up": True})
    Writer(db).store([Arrival(spike, False)], [], START + DAY)
    for is_downsampled in (False, True):
        if is_downsampled:
            downsample(db, START + DAY)
        for span in (DAY // 24, DAY, 7 * DAY, 30 * DAY, 365 * DAY):
            points = chart(db, START + DAY // 48 - span, START + DAY // 48, 300).series[0].points
            assert max(point[3] for point in points) == 5000.0
            assert min(point[2] for point in points) == 0.0


def test_readings_and_means_agree_in_a_chart(db: sqlite3.Connection) -> None:
    fill(db, 0, 600)
    before = chart(db, START - DAY, START + DAY, 96)
    Writer(db).store([], [], START + DAY)
    downsample(db, START + DAY)
    after = chart(db, START - DAY, START + DAY, 96)
    assert before.source == after.source == "means"
    assert before.series == after.series
    assert after.bucket_ms == 30 * 60_000
