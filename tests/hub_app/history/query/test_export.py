"""Exports of the history: every value once, at the resolution that there is."""

import sqlite3

import pytest

from hub_app.history.query.export import ExportQuery, SensorWindow, sensors_of, windows
from hub_app.history.query.lookup import UnknownSensorError
from hub_app.history.writer import Arrival, Writer
from tests.hub_app.history.samples import DAY, START, downsample, fill, reading

END = START + 40 * DAY


def exported(
    db: sqlite3.Connection,
    from_ms: int = 0,
    to_ms: int = END,
    sensors: tuple[str, ...] = (),
    fields: tuple[str, ...] = (),
) -> list[SensorWindow]:
    query = ExportQuery(sensors, fields, from_ms, to_ms)
    return list(windows(db, sensors_of(db, query), from_ms, to_ms))


def times(found: list[SensorWindow]) -> list[int]:
    return [at_ms for window in found for at_ms, _ in window.rows]


def store(db: sqlite3.Connection, day: int, first: int) -> None:
    """Store 10 readings, one every 2 s, of some day."""
    stamps = {n: START + day * DAY + (n - first) * 2000 for n in range(first, first + 10)}
    arrivals = [Arrival(reading(n, stamp), False) for n, stamp in stamps.items()]
    Writer(db).store(arrivals, [], START + day * DAY + 20_000)


def test_every_reading_is_there_once_in_order_of_time(db: sqlite3.Connection) -> None:
    fill(db, 0, 4000)
    found = exported(db)
    assert times(found) == [START + n * 2000 for n in range(4000)]
    assert {window.resolution_ms for window in found} == {0}
    # No window holds more than an hour.
    assert max(len(window.rows) for window in found) <= 1800
    assert found[0].fields == ["t", "text", "up"]
    assert found[0].rows[1][1] == [
        (START + 2000, 1.0, 1.0, 1.0, 1),
        None,
        (START + 2000, 1.0, 1.0, 1.0, 1),
    ]


def test_readings_of_one_moment_are_all_there(db: sqlite3.Connection) -> None:
    same = [reading(n, START, data={"t": float(n), "u": -float(n)}) for n in range(3)]
    Writer(db).store([Arrival(each, False) for each in same], [], START)
    (window,) = exported(db)
    values = [[point and point[1] for point in points] for _, points in window.rows]
    assert sorted(values, key=str) == [[0.0, -0.0], [1.0, -1.0], [2.0, -2.0]]
    assert times([window]) == [START] * 3


def test_expired_readings_are_means_and_the_resolution_is_named(db: sqlite3.Connection) -> None:
    store(db, 0, 0)
    store(db, 35, 100)
    Writer(db).store([], [], START + 36 * DAY)
    downsample(db, START + 36 * DAY)
    old, new = exported(db)
    assert (old.resolution_ms, new.resolution_ms) == (300_000, 0)
    assert old.rows[0][1][0] == (START, 4.5, 0.0, 9.0, 10)
    assert times([new]) == [START + 35 * DAY + n * 2000 for n in range(10)]
    # Only means are left.
    downsample(db, START + 90 * DAY)
    assert [window.resolution_ms for window in exported(db)] == [300_000, 300_000]


def test_two_ranges_after_each_other_have_nothing_twice(db: sqlite3.Connection) -> None:
    store(db, 0, 0)
    store(db, 35, 100)
    Writer(db).store([], [], START + 36 * DAY)
    downsample(db, START + 36 * DAY)
    for border in (START, START + 1000, START + 35 * DAY + 9000):
        parts = exported(db, 0, border) + exported(db, border, END)
        assert times(parts) == times(exported(db))


def test_a_gap_of_months_is_passed_over_in_one_step(db: sqlite3.Connection) -> None:
    store(db, day=0, first=0)
    store(db, day=300, first=10)
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    found = exported(db, to_ms=START + 301 * DAY)
    db.set_trace_callback(None)
    assert times(found) == [START + day * DAY + n * 2000 for day in (0, 300) for n in range(10)]
    assert statements.count("BEGIN") < 10


def test_sensors_and_fields_are_chosen(db: sqlite3.Connection) -> None:
    fill(db, 0, 3)
    other = Arrival(reading(3, START, sensor_id="attic", data={"p": 1.5}), False)
    Writer(db).store([other], [], START + 10_000)
    assert [window.sensor for window in exported(db)] == ["pi4:attic", "pi4:room"]
    (only,) = exported(db, fields=("p",))
    assert (only.sensor, only.fields) == ("pi4:attic", ["p"])
    (only,) = exported(db, sensors=("pi4:room",), fields=("up",))
    assert (only.fields, len(only.rows)) == (["up"], 3)


def test_an_unknown_sensor_or_field_is_named(db: sqlite3.Connection) -> None:
    fill(db, 0, 1)
    with pytest.raises(UnknownSensorError, match="expected one of pi4:room"):
        exported(db, sensors=("pi4:attic",))
    with pytest.raises(UnknownSensorError, match="'q', expected one of t, text, up"):
        exported(db, fields=("q",))


def test_an_empty_history_and_an_empty_range_have_no_values(db: sqlite3.Connection) -> None:
    assert exported(db) == []
    fill(db, 0, 3)
    assert exported(db, 0, START) == []
    assert exported(db, START + DAY, END) == []
