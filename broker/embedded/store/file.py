"""The SQLite file behind the store: reading it whole, writing batches of rows.

It knows no event loop and no bounds. One thread at a time.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from broker.embedded.packets.fields import Body
from broker.embedded.packets.model import ViolationError, Will
from broker.embedded.packets.properties import Owner, decode_properties, read_properties
from broker.embedded.store.records import Contents, StoredMessage, StoredSession, StoredWill
from broker.embedded.store.tables import DROP, PUT, SCHEMA
from broker.embedded.topics.grant import Grant
from broker.embedded.topics.retained import Retained
from bus.errors import UnavailableError
from bus.files.database import (
    DamagedError,
    is_full,
    lock,
    open_database,
    refuse_newer,
    set_aside,
    transaction,
    translate_damage,
)

SqlValue = str | bytes | int | None
Row = tuple[SqlValue, ...]
# A table and the primary key of a row. A batch has each once, with its last row; None: deleted.
RowKey = tuple[str, Row]
Batch = Mapping[RowKey, Row | None]

_WAL_LIMIT_BYTES = 4 * 1024 * 1024


class StoreFile:
    """One open file, or none: `write` opens it again where that failed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database: sqlite3.Connection | None = None
        self._claim: IO[bytes] | None = None

    def load(self) -> Contents:
        """Open the file and return all of it; a damaged one is set aside for a new one.

        Raises MisconfiguredError where the file may not be used, UnavailableError where the disk
        does not let it be read or made right now.
        """
        try:
            try:
                return self._read()
            except DamagedError as e:
                self.close()
                set_aside(self.path, str(e))
                return self._read()
        except sqlite3.Error as e:
            self.close()
            raise UnavailableError(f"{self.path} cannot be read or made: {e}") from e

    def write(self, batch: Batch) -> None:
        """Put and drop rows in one transaction that is on the disk when this returns.

        Raises UnavailableError or MisconfiguredError, with nothing changed.
        """
        try:
            if self._database is None:
                self._database = self._open_empty()
            with transaction(self._database):
                _apply(self._database, batch)
        except sqlite3.Error as e:
            raise UnavailableError(f"{self.path} cannot be written: {e}") from e

    def close(self) -> None:
        """Closing twice is fine."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def _open(self) -> sqlite3.Connection:
        # Before anything is made beside it.
        refuse_newer(self.path, SCHEMA)
        # Its rows mirror one broker's memory. A backup may read them at the same time.
        self._claim = self._claim or lock(self.path)
        # A commit is on the disk when it returns: what was acknowledged survives a power cut.
        database = open_database(self.path, SCHEMA, synchronous="FULL")
        database.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
        return database

    def _open_empty(self) -> sqlite3.Connection:
        # It could not be loaded before, so its rows are not what the broker holds now.
        database = self._open()
        for table in PUT:
            database.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of our own
        return database

    def _read(self) -> Contents:
        database = self._database = self._open()
        try:
            with translate_damage():
                return _contents(database)
        except ViolationError as e:
            raise DamagedError(f"properties of a message: {e}") from e
        except sqlite3.DatabaseError as e:
            if is_full(e):
                raise
            # A missing table or column, or text that is no UTF-8.
            raise DamagedError(str(e)) from e


def _contents(database: sqlite3.Connection) -> Contents:
    found = Contents()
    found.retained += [
        Retained(topic, payload, qos, stored_ms, owner, decode_properties(properties))
        for topic, payload, qos, stored_ms, properties, owner in database.execute(
            "SELECT topic, payload, qos, stored_ms, properties, owner FROM retained"
        )
    ]
    for session, client_id, left_ms, expiry_s in database.execute(
        "SELECT session, client_id, left_ms, expiry_s FROM sessions"
    ):
        found.sessions[session] = StoredSession(client_id, left_ms, expiry_s)
    for session, topic_filter, qos, no_local, as_published, identifier in database.execute(
        "SELECT session, filter, qos, no_local, retain_as_published, identifier FROM subscriptions"
    ):
        if session in found.sessions:
            ids = (identifier,) if identifier else ()
            grant = Grant(qos, bool(no_local), bool(as_published), ids)
            found.sessions[session].subscriptions[topic_filter] = grant
    for session, packet_id in database.execute("SELECT session, packet_id FROM unreleased"):
        if session in found.sessions:
            found.sessions[session].unreleased.add(packet_id)
    for session, properties, *row in database.execute(
        "SELECT session, properties, message_id, topic, payload, qos, retain, packet_id, "
        "queued_ms, released, share FROM messages ORDER BY message_id"
    ):
        if session in found.sessions:
            message = _message(decode_properties(properties), *row)
            found.sessions[session].messages.append(message)
    found.wills.update(_wills(database))
    return found


def _wills(database: sqlite3.Connection) -> Iterator[tuple[str, StoredWill]]:
    for session, client_id, properties, due_ms, *row in database.execute(
        "SELECT session, client_id, properties, due_ms, topic, payload, qos, retain FROM wills"
    ):
        yield session, StoredWill(client_id, _will(properties, *row), due_ms)


def _will(*row: Any) -> Will:
    properties, topic, payload, qos, retain = row
    return Will(topic, payload, qos, bool(retain), read_properties(Body(properties), Owner.WILL))


def _message(*row: Any) -> StoredMessage:
    properties, message_id, topic, payload, qos, retain, packet_id, queued_ms, released, group = row
    return StoredMessage(
        message_id=message_id,
        topic=topic,
        payload=payload,
        qos=qos,
        queued_ms=queued_ms,
        retain=bool(retain),
        packet_id=packet_id,
        released=bool(released),
        properties=properties,
        group=group,
    )


def _apply(database: sqlite3.Connection, batch: Batch) -> None:
    # The rows of a batch are independent of each other, so each table takes one call.
    for table, put in PUT.items():
        rows = [row for key, row in batch.items() if key[0] == table and row is not None]
        gone = [key[1] for key, row in batch.items() if key[0] == table and row is None]
        database.executemany(put, rows)
        database.executemany(DROP[table], gone)
