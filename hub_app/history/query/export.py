"""Export of the history: every stored value of some sensors in a range of any length.

Values come at the resolution that there is: single readings where they are kept, else 5-minute
means. They are read in windows, each a short transaction of its own, so a reader that is slow holds
neither memory nor the database's log.
"""

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from hub_app.history.query.lookup import SensorFields, UnknownSensorError, look_up
from hub_app.history.query.points import Point
from hub_app.history.query.readings import values
from hub_app.history.schema import BUCKET_MS, bucket_of

# A sensor with a reading every 0.1 s and 64 fields has some 2 million values in an hour; one with a
# reading every 2 s and 5 fields 9000.
_READINGS_MS = 3_600_000
_MEANS_MS = 86_400_000

# A table's least and greatest each in a query of its own, which its index answers at once.
_EXTENT_OF_SPANS = (
    "SELECT (SELECT min(bucket_ms) FROM span WHERE sensor = ?1),"
    " (SELECT max(bucket_ms) FROM span WHERE sensor = ?1)"
)
_EXTENT_OF_UNMOVED = "SELECT min(timestamp_ms), max(timestamp_ms) FROM unmoved WHERE sensor = ?"
_FIELD_OF_MEANS = "FROM mean WHERE sensor = ?1 AND field = (SELECT id FROM field WHERE name = ?2)"
_NEXT_MEAN = (
    "SELECT min(bucket_ms) FROM mean WHERE sensor = ?1 AND bucket_ms >= ?2"
    " AND field = (SELECT id FROM field WHERE name = ?3)"
)
_EXTENT_OF_MEANS = (
    f"SELECT (SELECT min(bucket_ms) {_FIELD_OF_MEANS}), (SELECT max(bucket_ms) {_FIELD_OF_MEANS})"
)
# A time, and a point of each field or None.
_Rows = list[tuple[int, list[Point | None]]]


class ExportQuery(msgspec.Struct, frozen=True):
    """Sensors as `node:sensor`, names of fields, and a range, `to_ms` exclusive.

    Without sensors or fields, all of them.
    """

    sensors: tuple[str, ...]
    fields: tuple[str, ...]
    from_ms: int
    to_ms: int


class SensorWindow(msgspec.Struct, frozen=True):
    """Some values of one sensor, in order of time; `resolution_ms` is 0 for single readings."""

    sensor: str
    fields: list[str]
    resolution_ms: int
    rows: _Rows


def sensors_of(db: sqlite3.Connection, query: ExportQuery) -> dict[str, SensorFields]:
    """Return the sensors that `query` asks for, by id.

    Raises UnknownSensorError for a sensor that is not in the history, and for a field that none of
    them has.
    """
    found = {
        name: look_up(db, *_split(name), [])
        for name in dict.fromkeys(query.sensors or _every_sensor(db))
    }
    known = {field for sensor in found.values() for field in sensor.fields}
    for field in query.fields:
        if field not in known:
            expected = ", ".join(sorted(known)) or "none yet"
            raise UnknownSensorError(f"field: found {field[:80]!r}, expected one of {expected}")
    return {name: _chosen(sensor, query.fields) for name, sensor in found.items()}


def windows(
    db: sqlite3.Connection, sensors: dict[str, SensorFields], from_ms: int, to_ms: int
) -> Iterator[SensorWindow]:
    """Yield all values, sensor by sensor, each in order of time."""
    for name, sensor in sensors.items():
        if not sensor.fields:
            continue
        for window in _windows_of(db, sensor, from_ms, to_ms):
            if window[1]:
                yield SensorWindow(name, sensor.fields, *window)


def _split(name: str) -> tuple[str, str]:
    node, _, sensor = name.partition(":")
    return node, sensor


def _every_sensor(db: sqlite3.Connection) -> list[str]:
    # The name of what is being removed begins with a dash, that of a node's health with an
    # underscore.
    found = db.execute(
        "SELECT node.name || ':' || sensor.name FROM sensor JOIN node ON node.id = sensor.node"
        " WHERE substr(node.name, 1, 1) != '-' AND substr(sensor.name, 1, 1) NOT IN ('-', '_')"
        " ORDER BY 1"
    )
    return [name for (name,) in found.fetchall()]


def _chosen(sensor: SensorFields, fields: Sequence[str]) -> SensorFields:
    """Return the sensor with some of its fields only."""
    if not fields:
        return sensor
    kept = [i for i, field in enumerate(sensor.fields) if field in fields]
    return SensorFields(
        sensor.sensor,
        [sensor.fields[i] for i in kept],
        {shape: [places[i] for i in kept] for shape, places in sensor.places.items()},
    )


def _windows_of(
    db: sqlite3.Connection, sensor: SensorFields, from_ms: int, to_ms: int
) -> Iterator[tuple[int, _Rows]]:
    """Yield resolution and rows of each window that is stored."""
    first_ms, end_ms = _extent(db, sensor, from_ms, to_ms)
    at_ms = first_ms
    while at_ms < end_ms:
        raw_ms = _oldest_reading(db, sensor.sensor)
        is_old = raw_ms is None or at_ms < raw_ms
        until_ms = min(end_ms, _end_of_window(at_ms, _MEANS_MS if is_old else _READINGS_MS))
        if is_old and raw_ms is not None:
            until_ms = min(until_ms, raw_ms)
        db.execute("BEGIN")
        try:
            means = _means(db, sensor, at_ms, until_ms)
            readings = [] if is_old else _readings(db, sensor, at_ms, until_ms)
        finally:
            db.execute("COMMIT")
        yield BUCKET_MS, means
        yield 0, readings
        at_ms = until_ms if means or readings else _next_stored(db, sensor, until_ms, end_ms)


def _next_stored(db: sqlite3.Connection, sensor: SensorFields, at_ms: int, end_ms: int) -> int:
    """Return the time from which on something is stored; `end_ms` where nothing is.

    A sensor that was away, or whose clock was wrong, has gaps of months.
    """
    start_ms = bucket_of(at_ms)
    queries = [
        ("SELECT min(bucket_ms) FROM span WHERE sensor = ? AND bucket_ms >= ?", ()),
        ("SELECT min(timestamp_ms) FROM unmoved WHERE sensor = ? AND timestamp_ms >= ?", ()),
        *((_NEXT_MEAN, (field,)) for field in sensor.fields),
    ]
    found = [
        db.execute(query, (sensor.sensor, start_ms, *more)).fetchone()[0] for query, more in queries
    ]
    return max(at_ms, min((bucket_of(ms) for ms in found if ms is not None), default=end_ms))


def _end_of_window(at_ms: int, length_ms: int) -> int:
    return at_ms - at_ms % length_ms + length_ms


def _extent(
    db: sqlite3.Connection, sensor: SensorFields, from_ms: int, to_ms: int
) -> tuple[int, int]:
    """Return the part of the range in which anything may be stored."""
    buckets = [
        *db.execute(_EXTENT_OF_SPANS, (sensor.sensor,)).fetchone(),
        *db.execute(_EXTENT_OF_UNMOVED, (sensor.sensor,)).fetchone(),
    ]
    for field in sensor.fields:
        buckets += db.execute(_EXTENT_OF_MEANS, (sensor.sensor, field)).fetchone()
    found = [bucket_of(at_ms) for at_ms in buckets if at_ms is not None]
    if not found:
        return from_ms, from_ms
    return max(from_ms, min(found)), min(to_ms, max(found) + BUCKET_MS)


def _oldest_reading(db: sqlite3.Connection, sensor: int) -> int | None:
    """Return the first bucket with readings; None where all have expired."""
    (found,) = db.execute(
        "SELECT min(at_ms) FROM (SELECT min(bucket_ms) AS at_ms FROM span WHERE sensor = ?1"
        " UNION ALL SELECT min(timestamp_ms) FROM unmoved WHERE sensor = ?1)",
        (sensor,),
    ).fetchone()
    return None if found is None else bucket_of(found)


def _readings(db: sqlite3.Connection, sensor: SensorFields, from_ms: int, to_ms: int) -> _Rows:
    rows: dict[int, list[list[Point | None]]] = {}
    for i, at_ms, value in values(db, sensor, from_ms, to_ms):
        same = rows.setdefault(at_ms, [])
        # A clock of whole seconds gives several readings one time.
        if not same or same[-1][i] is not None:
            same.append([None] * len(sensor.fields))
        same[-1][i] = (at_ms, value, value, value, 1)
    return [(at_ms, row) for at_ms in sorted(rows) for row in rows[at_ms]]


def _means(db: sqlite3.Connection, sensor: SensorFields, from_ms: int, to_ms: int) -> _Rows:
    """Return the means of the buckets that begin in the range and whose readings have expired."""
    rows: dict[int, list[Point | None]] = {}
    for i, field in enumerate(sensor.fields):
        found = db.execute(
            "SELECT bucket_ms, mean, low, high, count FROM mean WHERE sensor = ?1"
            " AND field = (SELECT id FROM field WHERE name = ?2) AND bucket_ms BETWEEN ?3 AND ?4"
            " AND bucket_ms NOT IN (SELECT bucket_ms FROM span WHERE sensor = ?1"
            " AND bucket_ms BETWEEN ?3 AND ?4)",
            (sensor.sensor, field, from_ms, to_ms - 1),
        )
        for point in found:
            rows.setdefault(point[0], [None] * len(sensor.fields))[i] = point
    return sorted(rows.items(), key=lambda row: row[0])
