"""Databases in an update: which are copied, which versions are refused."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from bus.errors import MisconfiguredError
from bus.install.update_record import SavedDatabase
from harvester.install.system import System
from harvester.update import databases, schemas


def make(path: Path, version: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(f"CREATE TABLE t (a); PRAGMA user_version={version};")
    return path


def test_only_databases_that_change_are_copied(tmp_path: Path) -> None:
    system = System(root=tmp_path)
    history = make(tmp_path / "var/lib/harvester-hub/revpi/history.db", 2)
    make(tmp_path / "var/lib/harvester-hub/revpi/logs.db", 1)
    make(tmp_path / "run/harvester-agent-hub/outbox.db", 1)
    make(tmp_path / "var/lib/other/history.db", 2)
    found = databases.find(system, ["history.db", "logs.db", "outbox.db"])
    assert len(found) == 3
    changed = databases.changed_by(found, {"history.db": 3, "logs.db": 1, "outbox.db": 1})
    assert changed == [SavedDatabase(str(history), 2)]


def test_a_version_that_cannot_read_a_database_is_refused(tmp_path: Path) -> None:
    history = make(tmp_path / "history.db", 3)
    with pytest.raises(MisconfiguredError, match="reads at most 2"):
        databases.changed_by([SavedDatabase(str(history), 3)], {"history.db": 2})


def test_a_database_that_was_not_changed_is_left_with_its_new_rows(tmp_path: Path) -> None:
    path = make(tmp_path / "outbox.db", 1)
    saved = [SavedDatabase(str(path), 1)]
    databases.save(saved)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO t VALUES (1)")
    assert databases.restore(saved) == []
    databases.drop_copies(saved)
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (1,)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["outbox.db"]


def test_every_database_of_this_version_is_known() -> None:
    assert set(schemas.versions()) == {"outbox.db", "broker.sqlite3", "history.db", "logs.db"}
    assert min(schemas.versions().values()) >= 1
