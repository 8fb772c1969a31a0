"""A file of another version: brought up, refused, or set aside; never misread."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from bus.errors import MisconfiguredError
from bus.files.database import Schema, open_database

FIRST = Schema("CREATE TABLE reading (seq INTEGER);")
SECOND = Schema(
    "CREATE TABLE reading (seq INTEGER, late INTEGER NOT NULL DEFAULT 0);",
    ("ALTER TABLE reading ADD COLUMN late INTEGER NOT NULL DEFAULT 0;",),
)


def rows(path: Path, schema: Schema, *statements: str) -> list[tuple[int, ...]]:
    with contextlib.closing(open_database(path, schema, synchronous="OFF")) as database:
        for statement in statements:
            database.execute(statement)
        return database.execute("SELECT * FROM reading").fetchall()


def test_an_older_file_is_brought_up_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    assert rows(path, FIRST, "INSERT INTO reading VALUES (7)") == [(7,)]
    assert rows(path, SECOND) == [(7, 0)]
    assert rows(path, SECOND, "INSERT INTO reading VALUES (8, 1)") == [(7, 0), (8, 1)]


def test_a_newer_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    rows(path, SECOND, "INSERT INTO reading VALUES (7, 1)")
    with pytest.raises(MisconfiguredError, match=r"a\.db: found version 2, expected at most 1; "):
        rows(path, FIRST)
    assert rows(path, SECOND) == [(7, 1)]


def test_a_file_of_other_tables_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE reading (other TEXT)")
    assert rows(path, FIRST) == []
    assert path.with_name("a.db.damaged").exists()
    assert "its tables are of no version" in caplog.text


@pytest.mark.parametrize("tables", ["CREATE TABLE other (x)", "CREATE TABLE reading (other TEXT)"])
def test_a_file_of_the_present_version_without_its_tables_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tables: str
) -> None:
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path)) as foreign:
        foreign.executescript(f"{tables}; PRAGMA user_version=1;")
    assert rows(path, FIRST) == []
    assert path.with_name("a.db.damaged").exists()
    assert "it has no column seq of table reading" in caplog.text


@pytest.mark.parametrize("version", [-1, -(2**31)])
def test_a_file_of_a_version_that_nobody_wrote_is_refused_and_left_as_it_is(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path)) as foreign:
        foreign.executescript(f"CREATE TABLE reading (x); PRAGMA user_version={version};")
    before = path.read_bytes()
    with pytest.raises(MisconfiguredError, match=f"found version {version}, expected 1 to 1"):
        rows(path, FIRST)
    assert path.read_bytes() == before
