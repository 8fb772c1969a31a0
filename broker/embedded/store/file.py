"""The SQLite file behind the store: its tables, opening it whatever state it is in, whole batches.

It knows no event loop and no bounds. One thread at a time.
"""

import errno
import logging
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import msgspec

from broker.embedded.store.records import Contents, StoredMessage, StoredSession
from broker.embedded.topics.retained import Retained
from bus.errors import MisconfiguredError, UnavailableError

logger = logging.getLogger(__name__)

SqlValue = str | bytes | int | None
Row = tuple[SqlValue, ...]
# A table and its row's primary key. In a batch each stands once, with its last row or None: gone.
RowKey = tuple[str, Row]
Batch = Mapping[RowKey, Row | None]

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS retained (
    topic TEXT PRIMARY KEY, payload BLOB NOT NULL,
    qos INTEGER NOT NULL CHECK (qos BETWEEN 0 AND 2), stored_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
    session TEXT PRIMARY KEY, client_id TEXT NOT NULL, left_ms INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS subscriptions (
    session TEXT NOT NULL, filter TEXT NOT NULL,
    qos INTEGER NOT NULL CHECK (qos BETWEEN 0 AND 2), PRIMARY KEY (session, filter)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    message_id INTEGER PRIMARY KEY, session TEXT NOT NULL, topic TEXT NOT NULL,
    payload BLOB NOT NULL, qos INTEGER NOT NULL CHECK (qos BETWEEN 0 AND 2),
    retain INTEGER NOT NULL, packet_id INTEGER, queued_ms INTEGER NOT NULL
) STRICT;
"""
# Not INSERT OR REPLACE, which moves the row and writes its index again.
_PUT = {
    "retained": "INSERT INTO retained VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
    "payload = excluded.payload, qos = excluded.qos, stored_ms = excluded.stored_ms",
    "sessions": "INSERT INTO sessions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
    "client_id = excluded.client_id, left_ms = excluded.left_ms",
    "subscriptions": "INSERT INTO subscriptions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
    "qos = excluded.qos",
    "messages": "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
}
_DROP = {
    "retained": "DELETE FROM retained WHERE topic = ?",
    "sessions": "DELETE FROM sessions WHERE session = ?",
    "subscriptions": "DELETE FROM subscriptions WHERE session = ? AND filter = ?",
    "messages": "DELETE FROM messages WHERE message_id = ?",
}
# https://sqlite.org/rescode.html
_BUSY, _ERROR, _CORRUPT, _NOT_A_DATABASE, _SCHEMA_CHANGED = 5, 1, 11, 26, 17
_FULL, _IO_ERROR = 13, 10
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
_WAL_LIMIT_BYTES = 4 * 1024 * 1024


class StoreFile:
    """One open file, or none: `write` opens it again where that failed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database: sqlite3.Connection | None = None

    def load(self) -> Contents:
        """Open the file and return all of it; one that is damaged is set aside for a fresh one.

        Raises MisconfiguredError where the file may not be used, UnavailableError where the disk
        does not let it be read or made right now.
        """
        try:
            return self._read()
        except sqlite3.Error as e:
            self.close()
            if not _is_damage(e):
                raise self._refusal(e) from e
            self._set_aside(e)
        try:
            return self._read()
        except sqlite3.Error as e:
            self.close()
            raise self._refusal(e) from e

    def write(self, batch: Batch) -> None:
        """Put and drop rows in one transaction that is on the disk when this returns.

        Raises UnavailableError or MisconfiguredError, with nothing changed.
        """
        try:
            if self._database is None:
                self._start_over()
            self._commit(batch)
        except sqlite3.Error as e:
            raise UnavailableError(f"{self.path} cannot be written: {e}") from e

    def close(self) -> None:
        """Twice is fine."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open(self) -> sqlite3.Connection:
        self._make_private()
        # One thread at a time: the one that loads, then the one that writes.
        database = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=0.1
        )
        try:
            _prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    def _start_over(self) -> None:
        # What could not be loaded is not what the broker has held since.
        self._database = self._open()
        for table in _PUT:
            self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - of our own table

    def _commit(self, batch: Batch) -> None:
        database = self._database
        if database is None:
            return
        database.execute("BEGIN IMMEDIATE")
        try:
            _apply(database, batch)
            database.execute("COMMIT")
        except BaseException:
            # A full disk has rolled it back already.
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise

    def _make_private(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # The journal beside it is given the same mode by SQLite.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self.path.chmod(0o600)
        except OSError as e:
            if e.errno in _NO_ROOM:
                raise UnavailableError(f"{self.path} cannot be made: {e.strerror}") from e
            raise MisconfiguredError(
                f"{self.path} cannot be opened: {e.strerror}; expected a folder that this user "
                "may write to"
            ) from e

    def _set_aside(self, error: sqlite3.Error) -> None:
        # One is kept, so that a file that breaks again and again fills no disk.
        aside = self.path.with_name(f"{self.path.name}.damaged")
        self.path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        logger.error(
            "%s is damaged (%s): it is kept as %s, and the broker starts without the retained "
            "messages and sessions that it held",
            self.path,
            error,
            aside.name,
        )

    def _refusal(self, error: sqlite3.Error) -> MisconfiguredError | UnavailableError:
        code = _code(error)
        if code in (_FULL, _IO_ERROR):
            return UnavailableError(f"{self.path} cannot be read or made: {error}")
        if code == _BUSY:
            return MisconfiguredError(
                f"{self.path} is in use by another process; expected one hub for each folder"
            )
        return MisconfiguredError(
            f"{self.path} cannot be opened: {error}; expected a file that this user may write"
        )

    def _read(self) -> Contents:
        database = self._database = self._database or self._open()
        found = Contents()
        for topic, payload, qos, stored_ms in database.execute(
            "SELECT topic, payload, qos, stored_ms FROM retained"
        ):
            found.retained.append(Retained(topic, payload, qos, stored_ms))
        for session, client_id, left_ms in database.execute(
            "SELECT session, client_id, left_ms FROM sessions"
        ):
            found.sessions[session] = StoredSession(client_id, left_ms)
        for session, topic_filter, qos in database.execute(
            "SELECT session, filter, qos FROM subscriptions"
        ):
            if session in found.sessions:
                found.sessions[session].subscriptions[topic_filter] = qos
        for row in database.execute(
            "SELECT session, message_id, topic, payload, qos, retain, packet_id, queued_ms "
            "FROM messages ORDER BY message_id"
        ):
            if row[0] in found.sessions:
                found.sessions[row[0]].messages.append(_message(*row[1:]))
        return found


def _message(*row: object) -> StoredMessage:
    names = ("message_id", "topic", "payload", "qos", "retain", "packet_id", "queued_ms")
    return msgspec.convert(dict(zip(names, row, strict=True)), StoredMessage, strict=False)


def _apply(database: sqlite3.Connection, batch: Batch) -> None:
    # Rows of one batch are independent of each other, so each table's go in one call.
    for table, put in _PUT.items():
        rows = [row for key, row in batch.items() if key[0] == table and row is not None]
        gone = [key[1] for key, row in batch.items() if key[0] == table and row is None]
        database.executemany(put, rows)
        database.executemany(_DROP[table], gone)


def _prepare(database: sqlite3.Connection) -> None:
    # Nobody else may write; and without shared memory there is one file less.
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("PRAGMA journal_mode = WAL")
    # A commit is on the disk when it returns: what was acknowledged survives a power cut.
    database.execute("PRAGMA synchronous = FULL")
    database.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
    _check(database)
    database.executescript(_SCHEMA)
    database.execute(f"PRAGMA user_version = {_VERSION}")


def _check(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, _VERSION):
        raise sqlite3.DatabaseError(f"its version is {version}, expected {_VERSION}")
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(str(verdict))


def _code(error: sqlite3.Error) -> int | None:
    # The low byte is the primary code. What Python or `_check` found has none.
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _is_damage(error: sqlite3.Error) -> bool:
    return _code(error) in (None, _ERROR, _CORRUPT, _NOT_A_DATABASE, _SCHEMA_CHANGED)
