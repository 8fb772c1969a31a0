"""5-minute means of a sensor in the history, and of what has none yet."""

import sqlite3

from hub_app.history.query.lookup import SensorFields
from hub_app.history.query.points import Buckets, Point, merged
from hub_app.history.query.readings import newest_values, older_values
from hub_app.history.schema import BUCKET_MS, bucket_of

# While a backlog comes in, many buckets have no means yet; the newest of these are read.
_BUCKETS_WITHOUT_MEANS = 24


def means(
    db: sqlite3.Connection, sensor: SensorFields, from_ms: int, to_ms: int, step_ms: int
) -> list[list[Point]]:
    """Return the points of each field, one for each interval of `step_ms` that has any.

    `step_ms` is a multiple of 5 minutes; the intervals are aligned to the epoch.
    """
    unfolded = _unfolded(db, sensor.sensor, from_ms, to_ms)
    fresh = [Buckets(step_ms) for _ in sensor.fields]
    for bucket_ms in unfolded:
        for i, timestamp_ms, value in older_values(db, sensor, bucket_ms, bucket_ms + BUCKET_MS):
            fresh[i].add(timestamp_ms, value)
    for i, timestamp_ms, value in newest_values(db, sensor, from_ms, to_ms):
        fresh[i].add(timestamp_ms, value)
    return [
        _joined(
            _stored(db, (sensor.sensor, field), (from_ms, to_ms), step_ms, unfolded),
            buckets.points(),
            step_ms,
        )
        for field, buckets in zip(sensor.fields, fresh, strict=True)
    ]


def _unfolded(db: sqlite3.Connection, sensor: int, from_ms: int, to_ms: int) -> list[int]:
    """Return the newest buckets whose readings are not in the means yet."""
    found = db.execute(
        "SELECT DISTINCT bucket_ms FROM span WHERE sensor = ? AND folded = 0"
        " AND bucket_ms BETWEEN ? AND ? ORDER BY bucket_ms DESC LIMIT ?",
        (sensor, bucket_of(from_ms), to_ms - 1, _BUCKETS_WITHOUT_MEANS),
    )
    return [bucket_ms for (bucket_ms,) in found]


def _stored(
    db: sqlite3.Connection,
    key: tuple[int, str],
    times: tuple[int, int],
    step_ms: int,
    without: list[int],
) -> list[Point]:
    """Return the stored means of one (sensor, field), those of `without` left out."""
    from_ms, to_ms = times
    marks = ", ".join("?" * len(without))
    return db.execute(
        "SELECT bucket_ms - bucket_ms % ?, sum(mean * count) / sum(count), min(low), max(high),"  # noqa: S608 - question marks only
        " sum(count) FROM mean WHERE sensor = ?"
        " AND field = (SELECT id FROM field WHERE name = ?) AND bucket_ms BETWEEN ? AND ?"
        f" AND bucket_ms NOT IN ({marks}) GROUP BY 1 ORDER BY 1",
        (step_ms, *key, bucket_of(from_ms), to_ms - 1, *without),
    ).fetchall()


def _joined(stored: list[Point], fresh: list[Point], step_ms: int) -> list[Point]:
    """Return both in order of time; where there are two for one interval, one for both."""
    points = {point[0]: point for point in stored}
    for point in fresh:
        start_ms = point[0] - point[0] % step_ms
        known = points.get(start_ms)
        points[start_ms] = merged([known, point]) if known else (start_ms, *point[1:])
    return sorted(points.values())
