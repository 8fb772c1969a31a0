"""Single readings of a sensor in the history, decoded for some of its fields."""

import sqlite3
from collections.abc import Iterable, Iterator

from hub_app.history.query.lookup import SensorFields
from hub_app.history.schema import BUCKET_MS, bucket_of, unpack

# Timestamp, shape, packed values.
_Row = tuple[int, int, bytes]


def values(
    db: sqlite3.Connection, sensor: SensorFields, from_ms: int, to_ms: int
) -> Iterator[tuple[int, int, float]]:
    """Yield (index of the field, timestamp_ms, value) from `from_ms` to before `to_ms`.

    They are in no order. A boolean is 0 or 1; texts are left out.
    """
    yield from _decoded(older(db, sensor.sensor, from_ms, to_ms), sensor)
    yield from _decoded(_newest(db, sensor.sensor, from_ms, to_ms), sensor)


def newest_values(
    db: sqlite3.Connection, sensor: SensorFields, from_ms: int, to_ms: int
) -> Iterator[tuple[int, int, float]]:
    """Yield as `values` does, only what is not in the table `reading` yet."""
    return _decoded(_newest(db, sensor.sensor, from_ms, to_ms), sensor)


def older_values(
    db: sqlite3.Connection, sensor: SensorFields, from_ms: int, to_ms: int
) -> Iterator[tuple[int, int, float]]:
    """Yield as `values` does, only what is in the table `reading`."""
    return _decoded(older(db, sensor.sensor, from_ms, to_ms), sensor)


def older(db: sqlite3.Connection, sensor: int, from_ms: int, to_ms: int) -> Iterable[_Row]:
    """Return the readings in the table `reading`, in no order."""
    return db.execute(
        "SELECT timestamp_ms, shape, data FROM span CROSS JOIN reading"
        " ON reading.stream = span.stream AND reading.seq BETWEEN span.first AND span.last"
        " WHERE span.sensor = ? AND span.bucket_ms BETWEEN ? AND ? AND reading.sensor = ?"
        " AND timestamp_ms BETWEEN max(?, bucket_ms) AND min(?, bucket_ms + ?)",
        (
            *(sensor, bucket_of(from_ms), to_ms, sensor),
            *(from_ms, to_ms - 1, BUCKET_MS - 1),
        ),
    )


def _newest(db: sqlite3.Connection, sensor: int, from_ms: int, to_ms: int) -> Iterable[_Row]:
    return db.execute(
        "SELECT timestamp_ms, shape, data FROM unmoved"
        " WHERE sensor = ? AND timestamp_ms BETWEEN ? AND ?",
        (sensor, from_ms, to_ms - 1),
    )


def _decoded(rows: Iterable[_Row], sensor: SensorFields) -> Iterator[tuple[int, int, float]]:
    places = {
        shape: [(i, place) for i, place in enumerate(found) if place is not None]
        for shape, found in sensor.places.items()
    }
    for timestamp_ms, shape, data in rows:
        wanted = places.get(shape)
        if not wanted:
            continue
        row = unpack(data)
        for i, place in wanted:
            value = row[place]
            if not isinstance(value, str):
                yield i, timestamp_ms, float(value)
