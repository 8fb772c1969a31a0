"""Removal and renaming in the history."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.contract.messages import Reading
from hub_app.history.events import PLUGIN, Event
from hub_app.history.removal import delete_hidden, hide_node, hide_sensor, rename_node
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer

START = 1_795_000_200_000
TABLES = ("node", "stream", "sensor", "sensor_shape", "reading", "span", "event")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_history(tmp_path / "history.db")) as opened:
        yield opened


def fill(db: sqlite3.Connection, node: str, *sensors: str, stream: str = "s") -> Writer:
    writer = Writer(db)
    arrivals = [
        Arrival(
            Reading(
                node, sensor, START + i * 2000, stream, i * 9 + n, {"t": float(i)}, f"{sensor}-p"
            ),
            is_late=False,
        )
        for i in range(3000)
        for n, sensor in enumerate(sensors)
    ]
    writer.store(arrivals, [Event(node, START, PLUGIN, "air-p", "running")], START)
    return writer


def counted(db: sqlite3.Connection, node: str) -> dict[str, int]:
    found = db.execute("SELECT sensor, count(*) FROM readings WHERE node = ? GROUP BY 1", (node,))
    return dict(found.fetchall())


def delete_all_hidden(db: sqlite3.Connection) -> None:
    while delete_hidden(db):
        pass


def test_a_hidden_node_is_gone_at_once_and_its_rows_soon(db: sqlite3.Connection) -> None:
    fill(db, "pi4", "air", "cpu")
    before = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in TABLES}
    writer = fill(db, "garden", "air")
    hide_node(db, "garden")
    writer.forget_unused()
    assert counted(db, "garden") == {}
    delete_all_hidden(db)
    writer.store([], [], START + 600_000)
    assert counted(db, "pi4") == {"air": 3000, "cpu": 3000}
    after = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in TABLES}
    # The last readings are in `newest` until they are moved.
    assert {**before, "reading": 0, "span": 0} == {**after, "reading": 0, "span": 0}


def test_a_node_that_comes_back_begins_anew(db: sqlite3.Connection) -> None:
    writer = fill(db, "pi4", "air")
    hide_node(db, "pi4")
    writer.forget_unused()
    reading = Reading("pi4", "air", START, "s", 0, {"t": 1.0}, "air-p")
    assert writer.store([Arrival(reading, is_late=False)], [], START).added == 1
    delete_all_hidden(db)
    assert counted(db, "pi4") == {"air": 1}


def test_only_the_hidden_sensor_is_gone(db: sqlite3.Connection) -> None:
    writer = fill(db, "pi4", "air", "cpu")
    hide_sensor(db, "pi4", "air")
    writer.forget_unused()
    delete_all_hidden(db)
    assert counted(db, "pi4") == {"cpu": 3000}


def test_a_renamed_node_keeps_its_history(db: sqlite3.Connection) -> None:
    writer = fill(db, "pi4", "air")
    rename_node(db, "pi4", "garden")
    writer.forget_unused()
    assert counted(db, "garden") == {"air": 3000}
    # A reading that comes again, from the outbox, is stored once.
    again = Reading("garden", "air", START, "s", 0, {"t": 0.0}, "air-p")
    assert writer.store([Arrival(again, is_late=True)], [], START).added == 0


def test_a_name_that_has_a_history_keeps_it(db: sqlite3.Connection) -> None:
    fill(db, "pi4", "air")
    fill(db, "garden", "air")
    rename_node(db, "pi4", "garden")
    assert counted(db, "pi4") == counted(db, "garden") == {"air": 3000}
