"""SQLite files: opened, checked, brought to the present version, set aside where damaged.

Every file of this system goes this way. The tables are the part of each user.
"""

import contextlib
import errno
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import msgspec

from bus.errors import MisconfiguredError, UnavailableError
from bus.files.database_version import read_version

logger = logging.getLogger(__name__)

_BUSY_S = 5.0
_LOCK_RETRY_S = 0.1
# Larger files are checked as they are read: on a Pi a whole check takes seconds.
_MAX_CHECKED_BYTES = 16_000_000
# https://sqlite.org/rescode.html
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_IN_USE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_MODE = 0o600
_SUFFIXES = ("", "-wal", "-shm", "-journal")


class DamagedError(UnavailableError):
    """A database file that holds no database, or a broken one."""


class Schema(msgspec.Struct, frozen=True):
    """The tables of a kind of file, and the migrations from its older versions.

    `statements` make a new file. Each of `migrations` turns a file of one version, the first being
    1, into one of the next.
    """

    statements: str
    migrations: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        return 1 + len(self.migrations)


def open_database(
    path: Path,
    schema: Schema,
    *,
    synchronous: Literal["OFF", "FULL"],
    page_bytes: int = 4096,
) -> sqlite3.Connection:
    """Open `path`, made where it is missing, in WAL mode with the tables of `schema`.

    A damaged file is set aside, with a line in the log, for a new one. A file that a newer version
    of this program wrote is refused and left as it is, byte for byte, with its log beside it. The
    connection is in autocommit mode, for any thread, one at a time; the file is for its owner.

    Raises MisconfiguredError where the version is newer, another program has the file open, or the
    folder cannot be written; sqlite3.OperationalError where the disk is full.
    """
    refuse_newer(path, schema)
    _create(path)
    options = (
        f"PRAGMA page_size={page_bytes}; PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous};"
    )
    try:
        return _open(path, schema, options)
    except DamagedError as e:
        set_aside(path, str(e))
        _create(path)
        return _open(path, schema, options)


def refuse_newer(path: Path, schema: Schema) -> None:
    """Raise MisconfiguredError where another version wrote the file, which stays as it is."""
    try:
        found = read_version(path)
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a readable file") from e
    if found > schema.version:
        raise MisconfiguredError(
            f"{path}: found version {found}, expected at most {schema.version}; a newer version of "
            "this program wrote it"
        )
    if found < 0:
        raise MisconfiguredError(
            f"{path}: found version {found}, expected 1 to {schema.version}; another program "
            "wrote it"
        )


def _create(path: Path) -> None:
    """Make an empty file where there is none: SQLite gives the files beside it the same mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _MODE))
        path.chmod(_MODE)
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            full = sqlite3.OperationalError(f"{path}: {e.strerror}")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise full from e
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a writable folder") from e


def _open(path: Path, schema: Schema, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        with translate_damage():
            connection.executescript(options)
            _check(connection, path)
            _migrate(connection, schema)
            _check_tables(connection, schema)
    except BaseException as e:
        connection.close()
        if isinstance(e, sqlite3.OperationalError) and not is_full(e):
            raise _refusal(path, e) from e
        raise
    return connection


def _refusal(path: Path, error: sqlite3.OperationalError) -> MisconfiguredError:
    if _code(error) in _IN_USE:
        return MisconfiguredError(
            f"{path}: in use by another process; expected one program for each file"
        )
    return MisconfiguredError(f"{path}: {error}; expected a file that this user may write")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if path.stat().st_size > _MAX_CHECKED_BYTES:
        return
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise DamagedError(verdict)


def _migrate(connection: sqlite3.Connection, schema: Schema) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == schema.version:
        return
    if not found and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise DamagedError("its tables are of no version")
    steps = schema.migrations[found - 1 :] if found else (schema.statements,)
    connection.executescript(
        f"BEGIN IMMEDIATE; {' '.join(steps)} PRAGMA user_version={schema.version}; COMMIT;"
    )


def _check_tables(connection: sqlite3.Connection, schema: Schema) -> None:
    """Raise DamagedError where a table or a column is missing, whatever the version says."""
    with contextlib.closing(sqlite3.connect(":memory:")) as model:
        model.executescript(schema.statements)
        missing = sorted(_columns(model) - _columns(connection))
    if missing:
        table, column = missing[0]
        raise DamagedError(f"it has no column {column} of table {table}")


def _columns(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(
        connection.execute(
            "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c "
            "WHERE t.type = 'table'"
        )
    )


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit the block's statements, or none of them where it raises. Raises DamagedError."""
    with translate_damage():
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
def translate_damage() -> Iterator[None]:
    """Raise DamagedError in place of what SQLite raises for a damaged file."""
    try:
        yield
    except sqlite3.DatabaseError as e:
        if _code(e) in _DAMAGED:
            raise DamagedError(str(e)) from e
        raise


def is_full(error: sqlite3.Error) -> bool:
    """Whether nothing more could be written: the disk is full, a quota is reached, or it fails."""
    return _code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code: the low byte. A value that does not fit has none: 0."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def set_aside(path: Path, reason: str) -> Path:
    """Rename a damaged file and those beside it; close it first. One set aside before is replaced.

    Says so in the log.
    """
    aside = path.with_name(f"{path.name}.damaged")
    for suffix in _SUFFIXES:
        Path(f"{aside}{suffix}").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    logger.error(
        "%s is damaged (%s): it is now %s, and a new one begins at %s",
        *(path, reason, aside.name, time.strftime("%Y-%m-%d %H:%M:%S")),
    )
    return aside


def lock(path: Path, wait_s: float = _BUSY_S, *, is_shared: bool = False) -> IO[bytes]:
    """Return an open lock file beside `path`; closing it, or the end of the process, unlocks.

    Several programs may hold a shared lock, while none holds an exclusive one. Raises
    MisconfiguredError where others hold it for `wait_s`, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        file = os.fdopen(os.open(path.with_name(f"{path.name}.lock"), flags, _MODE), "ab")
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a writable folder") from e
    kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError as e:
            if time.monotonic() > deadline_s:
                file.close()
                raise MisconfiguredError(
                    f"{path}: another program uses it; expected one program for each node"
                ) from e
            time.sleep(_LOCK_RETRY_S)
        else:
            return file


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the size of a database without its free pages."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)
