"""Every kind of SQLite file: a newer version is refused untouched, a damaged file set aside."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.embedded.store.file import StoreFile
from broker.embedded.store.store import FILE_NAME
from broker.embedded.store.tables import VERSION as BROKER_VERSION
from bus.errors import MisconfiguredError
from bus.outbox.file import OutboxFile
from hub_app.history.logs.log_file import LogFile
from hub_app.history.schema import VERSION as HISTORY_VERSION
from hub_app.history.schema import open_history
from tests.support import HOST, WAIT_S, free_port

NEWER = 99


def open_outbox(path: Path) -> None:
    OutboxFile("pi4", path, "FULL").close()


def open_and_close_history(path: Path) -> None:
    open_history(path).close()


def open_log_file(path: Path) -> None:
    LogFile(path, 1000, 1000).close()


def open_broker_store(path: Path) -> None:
    file = StoreFile(path)
    try:
        file.load()
    finally:
        file.close()


KINDS = {
    "outbox": open_outbox,
    "history": open_and_close_history,
    "log": open_log_file,
    "broker store": open_broker_store,
}


@pytest.fixture(params=KINDS)
def open_file(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    return KINDS[request.param]


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def write_newer(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE added_later (value TEXT)")
        database.execute(f"PRAGMA user_version = {NEWER}")


def refused(open_file: Callable[[Path], None], path: Path) -> None:
    with pytest.raises(MisconfiguredError, match=rf"{path.name}: found version {NEWER}, expected "):
        open_file(path)


def test_a_newer_file_is_refused_and_unchanged(
    open_file: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "kept.db"
    open_file(path)
    write_newer(path)
    before = content(tmp_path)
    refused(open_file, path)
    assert content(tmp_path) == before


def test_a_newer_file_that_is_in_its_log_yet_is_refused_and_both_are_unchanged(
    open_file: Callable[[Path], None], tmp_path: Path
) -> None:
    """After a kill, all of the newer version may be in the write-ahead log."""
    path, killed = tmp_path / "kept.db", tmp_path / "killed"
    open_file(path)
    killed.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute("CREATE TABLE added_later (value TEXT)")
        database.execute(f"PRAGMA user_version = {NEWER}")
        for name in (path.name, f"{path.name}-wal"):
            shutil.copy(tmp_path / name, killed)
    before = content(killed)
    assert set(before) == {"kept.db", "kept.db-wal"}
    assert before["kept.db"][60:64] != NEWER.to_bytes(4, "big")
    refused(open_file, killed / path.name)
    assert content(killed) == before


def test_a_newer_file_with_a_journal_beside_it_is_refused_and_both_are_unchanged(
    open_file: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "kept.db"
    open_file(path)
    write_newer(path)
    path.with_name("kept.db-journal").write_bytes(b"left by a kill")
    before = content(tmp_path)
    refused(open_file, path)
    assert content(tmp_path) == before


def test_a_damaged_newer_file_is_refused_as_well(
    open_file: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "kept.db"
    open_file(path)
    write_newer(path)
    with path.open("r+b") as file:
        file.seek(200)
        file.write(b"x" * 4_000)
    before = content(tmp_path)
    refused(open_file, path)
    assert content(tmp_path) == before


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_damaged_file_is_set_aside_with_what_is_beside_it(
    open_file: Callable[[Path], None],
    tmp_path: Path,
    suffix: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "kept.db"
    path.write_bytes(b"no database" * 1_000)
    # SQLite itself throws an invalid log or journal away, so only the file is there for certain.
    path.with_name(f"kept.db{suffix}").write_bytes(b"no database" * 1_000)
    path.with_name("kept.db.damaged-wal").write_bytes(b"of an earlier one")
    open_file(path)
    assert path.with_name("kept.db.damaged").read_bytes() == b"no database" * 1_000
    left = path.with_name("kept.db.damaged-wal")
    assert not left.exists() or left.read_bytes() != b"of an earlier one"
    assert caplog.text.count("kept.db is damaged") == 1
    caplog.clear()
    open_file(path)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("kept", "known"), [(f"broker/{FILE_NAME}", BROKER_VERSION), ("history.db", HISTORY_VERSION)]
)
def test_the_hub_ends_with_exit_code_2_and_names_the_newer_file(
    kept: str, known: int, tmp_path: Path
) -> None:
    path = tmp_path / "state" / kept
    path.parent.mkdir(parents=True)
    write_newer(path)
    before = path.read_bytes()
    keys = {
        "cluster.role": "hub",
        "storage.state_dir": tmp_path / "state",
        "web.listen": HOST,
        "web.port": free_port(),
        "broker.listen": HOST,
        "broker.port": free_port(),
    }
    arguments = [part for key, value in keys.items() for part in ("--set", f"{key}={value}")]
    ended = subprocess.run(
        [sys.executable, "-m", "hub_app.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert ended.returncode == 2
    last = ended.stderr.strip().splitlines()[-1]
    assert f"{path}: found version {NEWER}, expected at most {known};" in last
    assert path.read_bytes() == before
