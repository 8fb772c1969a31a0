"""Gaps of a sensor in ranges of every length, with their reasons."""

import sqlite3

import pytest

from hub_app.history.events import PLUGIN, PRESENCE, Event
from hub_app.history.query.gaps import LONGEST_EXACT_MS, gaps_of
from hub_app.history.query.lookup import UnknownSensorError
from hub_app.history.schema import BUCKET_MS
from hub_app.history.writer import Arrival, Writer
from tests.hub_app.history.samples import DAY, START, downsample, reading

HOUR = DAY // 24
# One reading a minute for a day, but for two hours.
OFF = (START + 6 * HOUR, START + 8 * HOUR)
END = START + DAY


def write_day(db: sqlite3.Connection) -> None:
    """Write a day of readings in which the node was off for two hours."""
    stamps = [at for at in range(START, END, 60_000) if not OFF[0] <= at < OFF[1]]
    arrivals = [
        Arrival(reading(i, at, stream="a" if at < OFF[0] else "b"), False)
        for i, at in enumerate(stamps)
    ]
    events = [
        Event("pi4", START, PRESENCE, f"boot1 {START}", "online"),
        Event("pi4", OFF[0], PRESENCE, f"boot1 {START}", "offline"),
        Event("pi4", OFF[1], PRESENCE, f"boot2 {OFF[1]}", "online"),
    ]
    Writer(db).store(arrivals, events, END)


@pytest.mark.parametrize("days", [1, 7, 30, 365])
def test_a_gap_has_its_reason_at_every_range(db: sqlite3.Connection, days: int) -> None:
    write_day(db)
    downsample(db, END)
    found = gaps_of(db, "pi4", "room", (END - days * DAY, END), END)
    (gap,) = found.gaps
    assert gap[2] == "off"
    # Exact for a day, to a bucket beyond.
    slack = 0 if days == 1 else BUCKET_MS
    assert abs(gap[0] - OFF[0]) <= slack
    assert abs(gap[1] - OFF[1]) <= slack
    assert found.left_out == 0


def test_a_gap_outlives_the_readings_around_it(db: sqlite3.Connection) -> None:
    write_day(db)
    now = END + 100 * DAY
    # The readings and what is known of their sequence numbers are deleted after a month.
    newer = reading(10_000, now - 60_000, stream="c")
    Writer(db).store([Arrival(newer, False)], [], now)
    downsample(db, now)
    assert db.execute("SELECT count(*) FROM reading").fetchone() < (100,)
    gaps = gaps_of(db, "pi4", "room", (now - 365 * DAY, now), now).gaps
    assert (gaps[0][2], gaps[0][1] - gaps[0][0]) == ("off", 2 * HOUR)


def test_a_disabled_plugin_is_the_reason_in_a_long_range(db: sqlite3.Connection) -> None:
    stamps = [at for at in range(START, END, 60_000) if not OFF[0] <= at < OFF[1]]
    arrivals = [Arrival(reading(i, at), False) for i, at in enumerate(stamps)]
    events = [
        Event("pi4", START, PRESENCE, f"boot1 {START}", "online"),
        Event("pi4", OFF[0], PLUGIN, "p", "disabled"),
        Event("pi4", OFF[1], PLUGIN, "p", "running"),
    ]
    Writer(db).store(arrivals, events, END)
    downsample(db, END)
    (gap,) = gaps_of(db, "pi4", "room", (START, START + LONGEST_EXACT_MS + 1), END).gaps
    assert gap == (*OFF, "disabled")


def test_a_slow_sensor_has_no_gaps_between_its_samples(db: sqlite3.Connection) -> None:
    stamps = range(START, START + 10 * DAY, HOUR)
    arrivals = [Arrival(reading(i, at), False) for i, at in enumerate(stamps)]
    Writer(db).store(arrivals, [], START + 10 * DAY)
    downsample(db, START + 10 * DAY)
    assert gaps_of(db, "pi4", "room", (START, START + 10 * DAY), START + 10 * DAY).gaps == []


def test_a_sensor_that_is_not_there_is_told_from_those_that_are(db: sqlite3.Connection) -> None:
    write_day(db)
    with pytest.raises(UnknownSensorError, match="expected one of pi4:room"):
        gaps_of(db, "pi4", "attic", (START, END), END)
