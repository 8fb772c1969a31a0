"""Removal and renaming in the history.

What is removed is hidden at once, under a name that no node or sensor can have, and its rows are
deleted in short transactions by the housekeeping.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable

from bus.files.database import transaction

logger = logging.getLogger(__name__)

_SPANS_AT_ONCE = 20
_MEANS_AT_ONCE = 2000
_HIDDEN = "substr(name, 1, 1) = '-'"


class HistoryJob:
    """A change of the history that its thread makes; `is_done` is set once it is in the file."""

    def __init__(self, change: Callable[[sqlite3.Connection], None]) -> None:
        self.change = change
        self.is_done = threading.Event()
        # It is requested again.
        self.is_failed = False


def hide_node(db: sqlite3.Connection, node: str) -> None:
    """Remove a node with all that is stored of it."""
    with transaction(db):
        db.execute(
            "UPDATE node SET name = '-' || id || '-' || name WHERE name = ?",
            (node,),
        )


def hide_sensor(db: sqlite3.Connection, node: str, sensor: str) -> None:
    """Remove a sensor with all that is stored of it."""
    with transaction(db):
        db.execute(
            "UPDATE sensor SET name = '-' || id || '-' || name"
            " WHERE name = ? AND node = (SELECT id FROM node WHERE name = ?)",
            (sensor, node),
        )


def rename_node(db: sqlite3.Connection, old: str, new: str) -> None:
    """Let all that is stored of `old` be of `new`, unless `new` has a history of its own."""
    with transaction(db):
        if db.execute("SELECT 1 FROM node WHERE name = ?", (new,)).fetchone():
            logger.warning("%s has a history of its own; that of %s stays as it is", new, old)
            return
        db.execute("UPDATE node SET name = ? WHERE name = ?", (new, old))


def delete_hidden(db: sqlite3.Connection) -> bool:
    """Delete some rows of what is hidden; return whether there may be more."""
    sensor = db.execute(
        f"SELECT id FROM sensor WHERE {_HIDDEN}"  # noqa: S608 - a constant
        f" OR node IN (SELECT id FROM node WHERE {_HIDDEN}) LIMIT 1"
    ).fetchone()
    if sensor is not None:
        with transaction(db):
            _delete_of_sensor(db, sensor[0])
        return True
    node = db.execute(f"SELECT id FROM node WHERE {_HIDDEN} LIMIT 1").fetchone()  # noqa: S608
    if node is None:
        return False
    with transaction(db):
        for table in ("event", "alarm", "boot", "unset", "stream"):
            db.execute(f"DELETE FROM {table} WHERE node = ?", node)  # noqa: S608 - constants
        db.execute("DELETE FROM node WHERE id = ?", node)
    return True


def _delete_of_sensor(db: sqlite3.Connection, sensor: int) -> None:
    """Delete some spans with their readings, or where there are none, the rest of a sensor."""
    spans = db.execute(
        "SELECT bucket_ms, stream, first, last FROM span WHERE sensor = ? LIMIT ?",
        (sensor, _SPANS_AT_ONCE),
    ).fetchall()
    for bucket_ms, stream, first, last in spans:
        db.execute(
            "DELETE FROM reading WHERE stream = ? AND seq BETWEEN ? AND ? AND sensor = ?",
            (stream, first, last, sensor),
        )
        db.execute(
            "DELETE FROM span WHERE sensor = ? AND bucket_ms = ? AND stream = ?",
            (sensor, bucket_ms, stream),
        )
    if spans:
        return
    deleted = db.execute(
        "DELETE FROM mean WHERE (sensor, field, bucket_ms) IN"
        " (SELECT sensor, field, bucket_ms FROM mean WHERE sensor = ? LIMIT ?)",
        (sensor, _MEANS_AT_ONCE),
    ).rowcount
    if deleted:
        return
    for table in ("newest", "sensor_shape", "arrived"):
        db.execute(f"DELETE FROM {table} WHERE sensor = ?", (sensor,))  # noqa: S608 - constants
    db.execute("DELETE FROM sensor WHERE id = ?", (sensor,))
