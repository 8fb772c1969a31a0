"""The version of an SQLite file, with and without a write-ahead log, without opening it."""

import contextlib
import sqlite3
from pathlib import Path

from bus.files.database_version import read_version


def test_a_file_that_is_missing_or_no_database_has_no_version(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    assert read_version(path) == 0
    for content in (b"", b"SQLite format 3\0", b"no database" * 100):
        path.write_bytes(content)
        assert read_version(path) == 0


def test_the_last_committed_version_counts_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        for version in (3, 5, 4):
            database.execute(f"PRAGMA user_version = {version}")
            database.execute(f"CREATE TABLE t{version} (x)")
            assert read_version(path) == version
        database.execute("PRAGMA wal_checkpoint(RESTART)")
        assert read_version(path) == 4
        # The log is written from its start again, and what it had before follows.
        database.execute("PRAGMA user_version = 6")
        assert read_version(path) == 6
    assert not path.with_name("a.db-wal").exists()
    assert read_version(path) == 6


def test_what_is_not_committed_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA cache_size = 1")
        database.execute("PRAGMA user_version = 1")
        database.execute("CREATE TABLE t (x)")
        database.execute("BEGIN")
        database.execute("PRAGMA user_version = 2")
        # More than the cache holds, so that the log has pages of the open transaction.
        database.executemany("INSERT INTO t VALUES (?)", [(b"x" * 3_000,)] * 100)
        assert read_version(path) == 1
        database.execute("COMMIT")
        assert read_version(path) == 2


def test_a_broken_log_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 7")
    for content in (b"", b"\x37\x7f\x06\x82", b"no log" * 100, b"\x37\x7f\x06\x82" + bytes(100)):
        path.with_name("a.db-wal").write_bytes(content)
        assert read_version(path) == 7
