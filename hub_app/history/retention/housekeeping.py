"""Housekeeping of the history between two commits: downsampling first, then expiry.

All of it is short transactions, so that it never holds up what comes in.
"""

import sqlite3
import time

from bus.clock import DAY_MS
from bus.config.history_table import HistoryConfig
from bus.files.database import transaction
from hub_app.alarms import records
from hub_app.history.removal import delete_hidden
from hub_app.history.retention.downsample import Downsampler
from hub_app.history.schema import BUCKET_MS, bucket_of

_INTERVAL_S = 5.0
# Between two rounds of all nodes for readings that have expired.
_EXPIRY_S = 60.0
# Nodes that are looked at in one step.
NODES_AT_ONCE = 100
# The longest that housekeeping holds up a commit.
_SLICE_S = 0.2
_BUCKETS_AT_ONCE = 12
_LONG_AGO_MS = -1
# Downsampled spans of a sensor between two buckets. Readings whose node's clock is not set yet may
# be redated by as much as that clock is behind, so they expire that much later.
_EXPIRED_SPANS = (
    "SELECT bucket_ms, stream, first, last FROM span WHERE sensor = ? AND bucket_ms >= ?"
    " AND bucket_ms < ? AND folded = 1 AND bucket_ms + coalesce("
    "(SELECT max(behind_ms) FROM unset WHERE unset.stream = span.stream), 0) < ?"
    " ORDER BY bucket_ms"
)


class Housekeeping:
    """Downsamples and deletes in `db`, in short transactions. Called by the writer's thread."""

    def __init__(self, db: sqlite3.Connection, settings: HistoryConfig) -> None:
        self._db = db
        self._downsampler = Downsampler(db)
        self._expiry = Expiry(db, settings)
        self._due_s = 0.0
        self._expiry_due_s = 0.0

    def run(self, now_ms: int, newest_ms: int) -> None:
        """Work for at most a fifth of a second, if it is time to; see `step`."""
        began_s = time.monotonic()
        if began_s < self._due_s:
            return
        has_more, expires = True, began_s >= self._expiry_due_s
        while has_more and time.monotonic() < began_s + _SLICE_S:
            has_more = self.step(now_ms, newest_ms, expires=expires)
        if expires and not has_more:
            self._expiry_due_s = began_s + _EXPIRY_S
        self.delete_old_means(min(now_ms, newest_ms))
        self._due_s = 0.0 if has_more else began_s + _INTERVAL_S

    def step(self, now_ms: int, newest_ms: int, *, expires: bool = True) -> bool:
        """Do one short transaction; return whether there may be more to do.

        `newest_ms` is the time of a recent reading. A hub whose clock is far ahead of its nodes'
        deletes nothing because of that.
        """
        if self._downsampler.step(now_ms) or delete_hidden(self._db):
            return True
        return expires and self._expiry.delete_old_readings(min(now_ms, newest_ms + DAY_MS))

    def delete_old_means(self, now_ms: int) -> None:
        """Delete the expired means of one field, and expired events and alarms."""
        self._expiry.delete_old_means(now_ms)


class Expiry:
    """Deletes from `db` what is older than `raw_days` and `mean_days`."""

    def __init__(self, db: sqlite3.Connection, settings: HistoryConfig) -> None:
        self._db = db
        self._raw_ms = round(settings.raw_days * DAY_MS)
        self._mean_ms = round(settings.mean_days * DAY_MS)
        # The (sensor, field) whose means were deleted last.
        self._last_field = (0, 0)
        # The nodes whose events, and whose readings, were looked at last.
        self._last_node = 0
        self._last_reader = 0

    def delete_old_readings(self, now_ms: int) -> bool:
        """Delete the oldest expired readings of the next nodes; return whether there may be more.

        A round ends with the last node. One that had expired readings stays the next.
        """
        before_ms = bucket_of(now_ms - self._raw_ms)
        nodes = self._nodes_after(self._last_reader)
        for node in nodes:
            if self._delete_readings_of(node, before_ms):
                return True
            self._last_reader = node
        if len(nodes) == NODES_AT_ONCE:
            return True
        self._last_reader = 0
        return False

    def _nodes_after(self, last: int) -> list[int]:
        found = self._db.execute(
            "SELECT id FROM node WHERE id > ? ORDER BY id LIMIT ?", (last, NODES_AT_ONCE)
        )
        return [node for (node,) in found.fetchall()]

    def delete_old_means(self, now_ms: int) -> None:
        """Delete some expired means, events and alarms: of the next field, and the next nodes."""
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
            nodes = self._nodes_after(self._last_node)
            self._last_node = nodes[-1] if len(nodes) == NODES_AT_ONCE else 0
            for node in nodes:
                self._db.execute(
                    "DELETE FROM event WHERE node = ? AND at_ms < ?", (node, oldest_ms)
                )
                records.expire(self._db, node, oldest_ms)

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
