"""Opening an SQLite file so that one that is damaged never stops a program.

It knows no tables: those are its users' part.
"""

import contextlib
import fcntl
import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import msgspec

from bus.errors import MisconfiguredError, UnavailableError

logger = logging.getLogger(__name__)

_BUSY_S = 5.0
_CLAIM_AGAIN_S = 0.1
# Larger ones are checked as they are read: on a Pi this takes seconds.
_CHECKED_BYTES = 16_000_000
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_BELONGING = ("", "-wal", "-shm", "-journal")


class DamagedError(UnavailableError):
    """A database file that holds no database, or a broken one."""


class Schema(msgspec.Struct, frozen=True):
    """The tables of a kind of file, and how an older file gets them.

    `statements` make a new file. Each of `migrations` turns a file of one version, the first being
    1, into one of the next.
    """

    statements: str
    migrations: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        return 1 + len(self.migrations)


def open_database(
    path: Path, schema: Schema, *, synchronous: Literal["OFF", "FULL"], page_bytes: int = 4096
) -> sqlite3.Connection:
    """Open `path`, made where it is not there, in WAL mode with the tables of `schema`.

    One that is damaged is set aside, with a line in the log, for a new one. The connection is in
    autocommit mode, for any thread, one at a time. Raises MisconfiguredError where another program
    has it open, a newer version of this one wrote it, or the folder cannot be written;
    sqlite3.OperationalError where the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as e:
        raise MisconfiguredError(f"{path.parent}: {e.strerror}; expected a writable folder") from e
    try:
        return _open(path, schema, synchronous, page_bytes)
    except DamagedError as e:
        set_aside(path, str(e))
        return _open(path, schema, synchronous, page_bytes)


def _open(path: Path, schema: Schema, synchronous: str, page_bytes: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        with damage_told():
            connection.executescript(
                f"PRAGMA page_size={page_bytes}; PRAGMA journal_mode=WAL;"
                f"PRAGMA synchronous={synchronous};"
            )
            _check(connection, path)
            _bring_up(connection, schema, path)
    except BaseException as e:
        connection.close()
        if isinstance(e, sqlite3.OperationalError) and not is_full(e):
            raise MisconfiguredError(f"{path}: {e}; expected a file of this program alone") from e
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if path.stat().st_size > _CHECKED_BYTES:
        return
    said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if said != "ok":
        raise DamagedError(said)


def _bring_up(connection: sqlite3.Connection, schema: Schema, path: Path) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == schema.version:
        return
    if found > schema.version:
        raise MisconfiguredError(
            f"{path}: found version {found}, expected at most {schema.version}; a newer version of "
            "this program wrote it"
        )
    steps = schema.migrations[found - 1 :] if found else (schema.statements,)
    if not found and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise DamagedError("its tables are of no version")
    connection.executescript(
        f"BEGIN IMMEDIATE; {' '.join(steps)} PRAGMA user_version={schema.version}; COMMIT;"
    )


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done within, or, where it raises, nothing of it. Raises DamagedError."""
    with damage_told():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            # A full disk may have ended the transaction already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def damage_told() -> Iterator[None]:
    """Raise DamagedError for what SQLite raises at a damaged file."""
    try:
        yield
    except sqlite3.DatabaseError as e:
        # A value that does not fit is an error without a code.
        if getattr(e, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            raise DamagedError(str(e)) from e
        raise


def is_full(error: sqlite3.Error) -> bool:
    """Whether nothing more could be written: the disk is full, a quota reached, or it fails."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def set_aside(path: Path, reason: str) -> Path:
    """Rename a damaged file, close it first; the one set aside before goes. Say so in the log."""
    aside = path.with_name(f"{path.name}.damaged")
    for suffix in _BELONGING:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    logger.error(
        "%s is damaged (%s): it is now %s, and a new one begins at %s",
        *(path, reason, aside.name, time.strftime("%Y-%m-%d %H:%M:%S")),
    )
    return aside


def claim(path: Path) -> IO[bytes]:
    """Return an open file beside `path` that says who uses it; closing it, or dying, gives it back.

    Raises MisconfiguredError where another program uses it, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = path.with_name(f"{path.name}.lock").open("ab")
    except OSError as e:
        raise MisconfiguredError(f"{path.parent}: {e.strerror}; expected a writable folder") from e
    deadline_s = time.monotonic() + _BUSY_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            if time.monotonic() > deadline_s:
                lock.close()
                raise MisconfiguredError(
                    f"{path}: another program uses it; expected one program for each node"
                ) from e
            time.sleep(_CLAIM_AGAIN_S)
        else:
            return lock


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the size of what a database holds, without the pages that are free again."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)
