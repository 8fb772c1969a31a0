"""Alarms in the history: begin and end, repeated records, retention, removal, migration."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bus.config.history_table import HistoryConfig
from hub_app.alarms import records
from hub_app.alarms.engine import Active, Engine
from hub_app.alarms.records import PastQuery, Record
from hub_app.history import removal
from hub_app.history.retention.housekeeping import Housekeeping
from hub_app.history.schema import open_history
from hub_app.history.writer import Writer
from tests.hub_app.alarms.samples import NOW_MS, begun

DAY_MS = 86_400_000
ALARM = begun(Engine())
EVERYTHING = PastQuery(0, NOW_MS * 2, 1000)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_history(tmp_path / "history.db")) as opened:
        yield opened


def store(db: sqlite3.Connection, *told: Record) -> None:
    Writer(db).store([], [], NOW_MS, told)


def at(since_ms: int, node: str = "pi4") -> Active:
    return msgspec.structs.replace(ALARM, since_ms=since_ms, node=node)


def times(db: sqlite3.Connection, query: PastQuery = EVERYTHING) -> list[tuple[int, int]]:
    return [(one.begin_ms, one.end_ms) for one in records.read(db, query)]


def test_an_alarm_is_one_row_from_its_beginning_to_its_end(db: sqlite3.Connection) -> None:
    store(db, Record(ALARM))
    assert times(db) == []
    later = msgspec.structs.replace(
        *(ALARM,), value=28.0, worst=40.0, acknowledged_ms=NOW_MS + 1, acknowledged_by="eva"
    )
    # Told again at the next start of the hub.
    store(db, Record(later, NOW_MS + 60_000), Record(later, NOW_MS + 60_000))
    (past,) = records.read(db, EVERYTHING)
    assert (past.begin_ms, past.end_ms) == (NOW_MS, NOW_MS + 60_000)
    assert (past.value, past.worst, past.limit) == (35.0, 40.0, 30.0)
    assert (past.acknowledged_by, past.sensor, past.field) == ("eva", "air", "temperature")


def test_a_query_returns_the_newest_of_its_time_and_node(db: sqlite3.Connection) -> None:
    for begin in (10, 20, 30):
        store(db, Record(at(begin), begin + 5), Record(at(begin, "pi5"), begin + 5))
    assert times(db, PastQuery(0, 100, 2, "pi4")) == [(30, 35), (20, 25)]
    assert times(db, PastQuery(0, 20, 2, "pi4")) == [(10, 15)]
    assert times(db, PastQuery(26, 100, 9, "pi5")) == [(30, 35)]
    assert len(times(db)) == 6


def test_what_the_hub_did_not_end_before_it_was_killed_is_ended(db: sqlite3.Connection) -> None:
    store(db, Record(ALARM), Record(at(NOW_MS, "pi5")))
    records.close_others(db, lambda: {ALARM.key}, NOW_MS + 9)
    assert [(one.node, one.end_ms) for one in records.read(db, EVERYTHING)] == [("pi5", NOW_MS + 9)]


def test_alarms_expire_with_the_means(db: sqlite3.Connection) -> None:
    store(db, Record(at(NOW_MS - 3 * DAY_MS), NOW_MS - 3 * DAY_MS), Record(ALARM, NOW_MS))
    Housekeeping(db, HistoryConfig(mean_days=2)).delete_old_means(NOW_MS)
    assert times(db) == [(NOW_MS, NOW_MS)]


def test_a_node_has_a_bounded_number_of_rows(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_ROWS_PER_NODE", 2)
    store(db, *(Record(at(begin), begin) for begin in (1, 2, 3, 4)))
    Housekeeping(db, HistoryConfig()).delete_old_means(5)
    assert times(db) == [(4, 4), (3, 3)]


def test_a_removed_nodes_alarms_are_hidden_and_deleted(db: sqlite3.Connection) -> None:
    store(db, Record(ALARM, NOW_MS))
    removal.hide_node(db, "pi4")
    assert times(db) == []
    while removal.delete_hidden(db):
        pass
    assert db.execute("SELECT count(*) FROM alarm").fetchone() == (0,)


def test_a_history_of_the_first_version_gets_the_table(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with contextlib.closing(open_history(path)) as first:
        first.execute("DROP TABLE alarm")
        first.execute("PRAGMA user_version = 1")
    with contextlib.closing(open_history(path)) as db:
        store(db, Record(ALARM, NOW_MS))
        assert len(times(db)) == 1
