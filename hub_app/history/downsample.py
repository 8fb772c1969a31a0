"""Making means of readings, and forgetting what is too old, a little at a time.

Each step is one short transaction, so that it never holds up what comes in.
"""

import sqlite3
from collections.abc import Iterator

from bus.config.history_table import HistoryConfig
from bus.database import transaction
from hub_app.history.names import id_of
from hub_app.history.schema import BUCKET_MS, LATE, bucket_of, fields_of, unpack

# A bucket is folded when the readings of its end have had time to arrive.
_GRACE_MS = 60_000
# Buckets of one sensor that one step folds: some 150 readings each.
_FOLDED_AT_ONCE = 10
_FORGOTTEN_AT_ONCE = 12
_LONG_AGO_MS = -1
_MS_PER_DAY = 86_400_000
# Spans of a sensor between two buckets that may be forgotten. One whose clock is not set yet may be
# moved by as much as it is behind.
_FORGETTABLE = (
    "SELECT bucket_ms, stream, first, last FROM span WHERE sensor = ? AND bucket_ms >= ?"
    " AND bucket_ms < ? AND folded = 1 AND bucket_ms + coalesce("
    "(SELECT max(behind_ms) FROM unset WHERE unset.stream = span.stream), 0) < ?"
    " ORDER BY bucket_ms"
)

# Count, sum, least and greatest.
_Stats = tuple[int, float, float, float]


class Folder:
    """Downsamples and forgets in the history `db`, whose writer's thread calls."""

    def __init__(self, db: sqlite3.Connection, settings: HistoryConfig) -> None:
        self._db = db
        self._raw_ms = round(settings.raw_days * _MS_PER_DAY)
        self._mean_ms = round(settings.mean_days * _MS_PER_DAY)
        self._shapes: dict[int, list[str]] = {}
        self._fields: dict[str, int] = dict(db.execute("SELECT name, id FROM field"))
        self._forget_means_from = (0, 0)

    def step(self, now_ms: int, newest_ms: int) -> bool:
        """Do one short piece of work; return whether there may be more.

        `newest_ms` is the time of a reading that came lately: where the hub's clock is far ahead of
        the nodes', a history is not forgotten for that.
        """
        believed_ms = min(now_ms, newest_ms + _MS_PER_DAY)
        return self._fold_some(now_ms) or self._forget_some(believed_ms)

    def forget_means(self, now_ms: int) -> None:
        """Forget means and events that are too old: of one field at each call."""
        oldest_ms = now_ms - self._mean_ms
        found = self._db.execute(
            "SELECT sensor, field FROM mean WHERE (sensor, field) > (?, ?) LIMIT 1",
            self._forget_means_from,
        ).fetchone()
        self._forget_means_from = found or (0, 0)
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

    def _fold_some(self, now_ms: int) -> bool:
        due = self._db.execute(
            "SELECT DISTINCT bucket_ms, sensor FROM span WHERE folded = 0 AND bucket_ms <= ?"
            " LIMIT ?",
            (now_ms - BUCKET_MS - _GRACE_MS, _FOLDED_AT_ONCE),
        ).fetchall()
        if not due:
            return False
        with transaction(self._db):
            for bucket_ms, sensor in due:
                self._fold(sensor, bucket_ms)
        return len(due) == _FOLDED_AT_ONCE

    def _fold(self, sensor: int, bucket_ms: int) -> None:
        stats: dict[str, _Stats] = {}
        spans = self._db.execute(
            "SELECT stream, first, last, count FROM span WHERE sensor = ? AND bucket_ms = ?",
            (sensor, bucket_ms),
        ).fetchall()
        if any(count for *_, count in spans):
            # Made anew. Else its readings may be forgotten already, and these came very late.
            self._db.execute(
                "DELETE FROM mean WHERE sensor = ? AND bucket_ms = ? AND field IN"
                " (SELECT id FROM field)",
                (sensor, bucket_ms),
            )
        for stream, first, last, _ in spans:
            count = late = 0
            for flags, shape, data in self._readings(sensor, bucket_ms, stream, first, last):
                count += 1
                late += flags & LATE > 0
                _gather(stats, self._shape(shape), data)
            key = (sensor, bucket_ms, stream)
            if count:
                self._db.execute(
                    "UPDATE span SET folded = 1, count = ?, late = ?"
                    " WHERE sensor = ? AND bucket_ms = ? AND stream = ?",
                    (count, late, *key),
                )
            else:
                # Its readings were dated again, and are elsewhere now.
                self._db.execute(
                    "DELETE FROM span WHERE sensor = ? AND bucket_ms = ? AND stream = ?", key
                )
        self._write_means(sensor, bucket_ms, stats)

    def _readings(
        self, sensor: int, bucket_ms: int, stream: int, first: int, last: int
    ) -> Iterator[tuple[int, int, bytes]]:
        yield from self._db.execute(
            "SELECT flags, shape, data FROM reading WHERE stream = ? AND seq BETWEEN ? AND ?"
            " AND sensor = ? AND timestamp_ms BETWEEN ? AND ?",
            (stream, first, last, sensor, bucket_ms, bucket_ms + BUCKET_MS - 1),
        )

    def _write_means(self, sensor: int, bucket_ms: int, stats: dict[str, _Stats]) -> None:
        """Write what was gathered; where older readings are forgotten already, beside theirs."""
        for name, (count, total, low, high) in stats.items():
            self._db.execute(
                "INSERT INTO mean VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " mean = (mean * count + excluded.mean * excluded.count)"
                " / (count + excluded.count), count = count + excluded.count,"
                " low = min(low, excluded.low), high = max(high, excluded.high)",
                (sensor, self._field(name), bucket_ms, count, total / count, low, high),
            )

    def _forget_some(self, now_ms: int) -> bool:
        """Forget the oldest readings of each node that are past their time."""
        more = False
        for (node,) in self._db.execute("SELECT id FROM node").fetchall():
            more = self._forget_of(node, bucket_of(now_ms - self._raw_ms)) or more
        return more

    def _forget_of(self, node: int, before_ms: int) -> bool:
        sensors = self._db.execute("SELECT id FROM sensor WHERE node = ?", (node,)).fetchall()
        firsts = [
            self._db.execute(_FORGETTABLE, (sensor, _LONG_AGO_MS, before_ms, before_ms)).fetchone()
            for (sensor,) in sensors
        ]
        start_ms = min((first[0] for first in firsts if first), default=before_ms)
        if start_ms >= before_ms:
            return False
        # Sensors of a node share pages: what lies side by side goes together.
        end_ms = min(start_ms + _FORGOTTEN_AT_ONCE * BUCKET_MS, before_ms)
        with transaction(self._db):
            for (sensor,) in sensors:
                self._forget(sensor, start_ms, end_ms, before_ms)
        return True

    def _forget(self, sensor: int, start_ms: int, end_ms: int, before_ms: int) -> None:
        spans = self._db.execute(_FORGETTABLE, (sensor, start_ms, end_ms, before_ms)).fetchall()
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

    def _shape(self, number: int) -> list[str]:
        if number not in self._shapes:
            found = self._db.execute("SELECT fields FROM shape WHERE id = ?", (number,))
            self._shapes[number] = fields_of(found.fetchone()[0])
        return self._shapes[number]

    def _field(self, name: str) -> int:
        if name not in self._fields:
            self._fields[name] = id_of(self._db, "field", name=name)
        return self._fields[name]


def _gather(stats: dict[str, _Stats], fields: list[str], data: bytes) -> None:
    for name, value in zip(fields, unpack(data), strict=True):
        if isinstance(value, str):
            continue
        number = float(value)
        count, total, low, high = stats.get(name, (0, 0.0, number, number))
        stats[name] = (count + 1, total + number, min(low, number), max(high, number))
