"""Downsampling of the history: readings become 5-minute means, minima and maxima.

Each step is one short transaction, so that it never holds up what comes in.
"""

import sqlite3
from collections.abc import Iterator

from bus.files.database import transaction
from hub_app.history.names import id_of
from hub_app.history.schema import BUCKET_MS, LATE, fields_of, unpack

# A bucket is downsampled when the readings of its end have had time to arrive.
_GRACE_MS = 60_000
# Buckets of one sensor in one step: some 150 readings each.
_BUCKETS_AT_ONCE = 10

# Count, sum, minimum and maximum.
Stats = tuple[int, float, float, float]
# Bucket, stream, first and last sequence number.
_Span = tuple[int, int, int, int]


class Downsampler:
    """Computes the means of complete buckets in `db`. Called by the writer's thread."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._shapes: dict[int, list[str]] = {}
        self._fields: dict[str, int] = dict(db.execute("SELECT name, id FROM field"))

    def step(self, now_ms: int) -> bool:
        """Downsample a few buckets that are due; return whether there may be more."""
        due = self._db.execute(
            "SELECT DISTINCT bucket_ms, sensor FROM span WHERE folded = 0 AND bucket_ms <= ?"
            " LIMIT ?",
            (now_ms - BUCKET_MS - _GRACE_MS, _BUCKETS_AT_ONCE),
        ).fetchall()
        if not due:
            return False
        with transaction(self._db):
            for bucket_ms, sensor in due:
                self._downsample(sensor, bucket_ms)
        return len(due) == _BUCKETS_AT_ONCE

    def _downsample(self, sensor: int, bucket_ms: int) -> None:
        stats: dict[str, Stats] = {}
        spans = self._db.execute(
            "SELECT stream, first, last, count FROM span WHERE sensor = ? AND bucket_ms = ?",
            (sensor, bucket_ms),
        ).fetchall()
        if any(count for *_, count in spans):
            # All readings of the bucket are still there, so its means are computed again. Without
            # them, these readings came after the others had expired, and are added to the means.
            self._delete_means(sensor, bucket_ms)
        for stream, first, last, _ in spans:
            self._downsample_span(sensor, (bucket_ms, stream, first, last), stats)
        self._write_means(sensor, bucket_ms, stats)

    def _downsample_span(self, sensor: int, span: _Span, stats: dict[str, Stats]) -> None:
        bucket_ms, stream, *_ = span
        count = late = 0
        for flags, shape, data in self._readings(sensor, span):
            count += 1
            late += flags & LATE > 0
            _add(stats, self._shape(shape), data)
        key = (sensor, bucket_ms, stream)
        if count:
            self._db.execute(
                "UPDATE span SET folded = 1, count = ?, late = ?"
                " WHERE sensor = ? AND bucket_ms = ? AND stream = ?",
                (count, late, *key),
            )
        else:
            # Its readings were redated and are in another bucket now.
            self._db.execute(
                "DELETE FROM span WHERE sensor = ? AND bucket_ms = ? AND stream = ?", key
            )

    def _readings(self, sensor: int, span: _Span) -> Iterator[tuple[int, int, bytes]]:
        bucket_ms, stream, first, last = span
        yield from self._db.execute(
            "SELECT flags, shape, data FROM reading WHERE stream = ? AND seq BETWEEN ? AND ?"
            " AND sensor = ? AND timestamp_ms BETWEEN ? AND ?",
            (stream, first, last, sensor, bucket_ms, bucket_ms + BUCKET_MS - 1),
        )

    def _delete_means(self, sensor: int, bucket_ms: int) -> None:
        # Naming every field lets SQLite use the primary key.
        self._db.execute(
            "DELETE FROM mean WHERE sensor = ? AND bucket_ms = ? AND field IN"
            " (SELECT id FROM field)",
            (sensor, bucket_ms),
        )

    def _write_means(self, sensor: int, bucket_ms: int, stats: dict[str, Stats]) -> None:
        """Write the means; where a mean of expired readings exists, merge the two."""
        for name, found in stats.items():
            write_mean(self._db, (sensor, self._field(name), bucket_ms), found)

    def _shape(self, number: int) -> list[str]:
        if number not in self._shapes:
            found = self._db.execute("SELECT fields FROM shape WHERE id = ?", (number,))
            self._shapes[number] = fields_of(found.fetchone()[0])
        return self._shapes[number]

    def _field(self, name: str) -> int:
        if name not in self._fields:
            self._fields[name] = id_of(self._db, "field", name=name)
        return self._fields[name]


def _add(stats: dict[str, Stats], fields: list[str], data: bytes) -> None:
    """Add the numbers of one reading to the statistics of its fields."""
    for name, value in zip(fields, unpack(data), strict=True):
        if isinstance(value, str):
            continue
        stats[name] = grown(stats.get(name), float(value))


def grown(stats: Stats | None, number: float) -> Stats:
    """Return statistics with one more number."""
    count, total, low, high = stats or (0, 0.0, number, number)
    return count + 1, total + number, min(low, number), max(high, number)


def write_mean(db: sqlite3.Connection, key: tuple[int, int, int], stats: Stats) -> None:
    """Write the mean of a (sensor, field, bucket); where there is one, merge the two."""
    count, total, low, high = stats
    db.execute(
        "INSERT INTO mean VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " mean = (mean * count + excluded.mean * excluded.count)"
        " / (count + excluded.count), count = count + excluded.count,"
        " low = min(low, excluded.low), high = max(high, excluded.high)",
        (*key, count, total / count, low, high),
    )
