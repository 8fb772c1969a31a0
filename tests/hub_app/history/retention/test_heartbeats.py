"""Means of heartbeats in the history."""

import sqlite3
from pathlib import Path

from bus.contract.messages import Heartbeat
from hub_app.history.query import known_names
from hub_app.history.query.series import ChartQuery, SeriesReader
from hub_app.history.removal import hide_node
from hub_app.history.retention.heartbeats import FIELDS, SENSOR, HeartbeatDownsampler
from hub_app.history.schema import BUCKET_MS
from hub_app.history.writer import Arrival, Writer
from tests.hub_app.history.samples import START, reading

MINUTE = 60_000


def beat(cycle_ms: float, outbox_rows: int = 0) -> Heartbeat:
    return Heartbeat(1, 10.0, 42.0, cycle_ms, outbox_rows, 0, START)


def known_node(db: sqlite3.Connection) -> Writer:
    writer = Writer(db)
    writer.store([Arrival(reading(1), False)], [], START)
    return writer


def test_means_are_due_once_a_minute_and_at_the_end() -> None:
    folder = HeartbeatDownsampler(10)
    folder.add("pi4", beat(10.0), START)
    folder.add("pi4", beat(30.0, 7), START + 2000)
    assert folder.take(START + MINUTE - 1) == []
    (means,) = folder.take(START + MINUTE)
    assert dict(zip(FIELDS, means.stats, strict=True)) == {
        "cycle_ms": (2, 40.0, 10.0, 30.0),
        "outbox_rows": (2, 7.0, 0.0, 7.0),
        "rss_mb": (2, 84.0, 42.0, 42.0),
    }
    folder.add("pi4", beat(50.0), START + 2 * MINUTE)
    assert [means.stats[0] for means in folder.take(START + 2 * MINUTE, is_last=True)] == [
        (1, 50.0, 50.0, 50.0)
    ]


def test_a_bucket_ends_with_its_time_whatever_is_due() -> None:
    folder = HeartbeatDownsampler(10)
    folder.add("pi4", beat(10.0), START + BUCKET_MS - 1)
    folder.add("pi4", beat(20.0), START + BUCKET_MS)
    assert [means.bucket_ms for means in folder.take(START + BUCKET_MS)] == [START]


def test_of_more_nodes_than_there_are_places_none_is_kept() -> None:
    folder = HeartbeatDownsampler(2)
    for n in range(5):
        folder.add(f"n{n}", beat(1.0), START)
    assert [means.node for means in folder.take(START + MINUTE)] == ["n0", "n1"]


def test_parts_of_a_bucket_are_one_point_of_a_chart(db: sqlite3.Connection) -> None:
    writer, folder = known_node(db), HeartbeatDownsampler(10)
    for minute, cycle_ms in enumerate((10.0, 20.0, 60.0)):
        folder.add("pi4", beat(cycle_ms, minute), START + minute * MINUTE)
        # As if the hub had stopped in between.
        writer.store([], [], START, means=folder.take(START, is_last=True))
    query = ChartQuery("pi4", SENSOR, ["cycle_ms"], START - BUCKET_MS, START + BUCKET_MS, 300)
    (series,) = SeriesReader(db).chart(query).series
    assert series.points == [(START, 30.0, 10.0, 60.0, 3)]


def test_a_heartbeat_is_no_sensor_of_the_node(db: sqlite3.Connection) -> None:
    writer, folder = known_node(db), HeartbeatDownsampler(10)
    folder.add("pi4", beat(10.0), START)
    writer.store([], [], START, means=folder.take(START, is_last=True))
    writer.forget_unused()
    (path,) = (row[2] for row in db.execute("PRAGMA database_list") if row[1] == "main")
    assert known_names.sensors(Path(path)) == {"pi4:room"}


def test_a_node_that_was_removed_does_not_come_back(db: sqlite3.Connection) -> None:
    writer, folder = known_node(db), HeartbeatDownsampler(10)
    folder.add("pi4", beat(10.0), START)
    hide_node(db, "pi4")
    writer.forget_unused()
    writer.store([], [], START, means=folder.take(START, is_last=True))
    assert db.execute("SELECT 1 FROM node WHERE name = 'pi4'").fetchone() is None
