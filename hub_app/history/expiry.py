"""Expiry of the history: readings, means and events that are older than configured are deleted.

Each call is a short transaction, so that it never holds up what comes in.
"""

import sqlite3

from bus.config.history_table import HistoryConfig
from bus.database import transaction
from hub_app.history.schema import BUCKET_MS, bucket_of

_BUCKETS_AT_ONCE = 12
_LONG_AGO_MS = -1
_MS_PER_DAY = 86_400_000
# Downsampled spans of a sensor between two buckets. Readings whose node's clock is not set yet may
# be redated by as much as that clock is behind, so they expire that much later.
_EXPIRED_SPANS = (
    "SELECT bucket_ms, stream, first, last FROM span WHERE sensor = ? AND bucket_ms >= ?"
    " AND bucket_ms < ? AND folded = 1 AND bucket_ms + coalesce("
    "(SELECT max(behind_ms) FROM unset WHERE unset.stream = span.stream), 0) < ?"
    " ORDER BY bucket_ms"
)


class Expiry:
    """Deletes from `db` what is older than `raw_days` and `mean_days`."""

    def __init__(self, db: sqlite3.Connection, settings: HistoryConfig) -> None:
        self._db = db
        self._raw_ms = round(settings.raw_days * _MS_PER_DAY)
        self._mean_ms = round(settings.mean_days * _MS_PER_DAY)
        # The (sensor, field) whose means were deleted last.
        self._last_field = (0, 0)

    def delete_old_readings(self, now_ms: int) -> bool:
        """Delete the oldest expired readings of each node; return whether there may be more."""
        has_more = False
        for (node,) in self._db.execute("SELECT id FROM node").fetchall():
            before_ms = bucket_of(now_ms - self._raw_ms)
            has_more = self._delete_readings_of(node, before_ms) or has_more
        return has_more

    def delete_old_means(self, now_ms: int) -> None:
        """Delete expired means, of one field at each call, and expired events."""
        oldest_ms = now_ms - self._mean_ms
        found = self._db.execute(
            "SELECT sensor, field FROM mean WHERE (sensor, field) > (?, ?) LIMIT 1",
            self._last_field,
        ).fetchone()
        self._last_field = found or (0, 0)
        with transaction(self._db):
            if found:
                self._db.execute(
                    "DELETE FROM mean WHERE sensor = ? AND field = ? AND bucket_ms < ?",
                    (*found, oldest_ms),
                )
            for (node,) in self._db.execute("SELECT id FROM node").fetchall():
                self._db.execute(
                    "DELETE FROM event WHERE node = ? AND at_ms < ?", (node, oldest_ms)
                )

    def _delete_readings_of(self, node: int, before_ms: int) -> bool:
        sensors = self._db.execute("SELECT id FROM sensor WHERE node = ?", (node,)).fetchall()
        firsts = [
            self._db.execute(
                _EXPIRED_SPANS, (sensor, _LONG_AGO_MS, before_ms, before_ms)
            ).fetchone()
            for (sensor,) in sensors
        ]
        start_ms = min((first[0] for first in firsts if first), default=before_ms)
        if start_ms >= before_ms:
            return False
        # Sensors of a node share pages, so their readings of one time are deleted together.
        end_ms = min(start_ms + _BUCKETS_AT_ONCE * BUCKET_MS, before_ms)
        with transaction(self._db):
            for (sensor,) in sensors:
                self._delete_spans(sensor, start_ms, end_ms, before_ms)
        return True

    def _delete_spans(self, sensor: int, start_ms: int, end_ms: int, before_ms: int) -> None:
        spans = self._db.execute(_EXPIRED_SPANS, (sensor, start_ms, end_ms, before_ms)).fetchall()
        for bucket_ms, stream, first, last in spans:
            self._db.execute(
                "DELETE FROM reading WHERE stream = ? AND seq BETWEEN ? AND ? AND sensor = ?"
                " AND timestamp_ms BETWEEN ? AND ?",
                (stream, first, last, sensor, bucket_ms, bucket_ms + BUCKET_MS - 1),
            )
            self._db.execute(
                "DELETE FROM span WHERE sensor = ? AND bucket_ms = ? AND stream = ?",
                (sensor, bucket_ms, stream),
            )
