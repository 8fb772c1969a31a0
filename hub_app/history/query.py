"""Query for one field of one sensor over time. It reads while the writer writes.

A short range is answered from single readings, a long one from 5-minute means; where a bucket has
no mean yet, from its readings.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from bus.errors import BadDataError
from hub_app.history.schema import BUCKET_MS, bucket_of, fields_of, unpack

MAX_POINTS = 10_000
DEFAULT_POINTS = 500
# Reading a day of samples, one every 2 s, takes some 100 ms.
_LONGEST_RAW_MS = 86_400_000
# While a backlog comes in, many buckets have no means yet; the newest of these are read.
_BUCKETS_WITHOUT_MEANS = 24

# Timestamp, mean, minimum, maximum, count.
Point = tuple[int, float, float, float, int]


class UnknownSensorError(BadDataError):
    """A sensor or field that is not in the history."""


class Series(msgspec.Struct, frozen=True):
    """Points of one field in order of time, each [timestamp_ms, mean, low, high, count].

    `source` is `readings` or `means`. Where there are more of these than the requested points, a
    point stands for several and has the time at which its interval begins.
    """

    sensor: str
    field: str
    from_ms: int
    to_ms: int
    source: Literal["readings", "means"]
    points: list[Point]


class SeriesQuery(msgspec.Struct, frozen=True):
    """A sensor, a field and a range of time in Unix milliseconds, `to_ms` exclusive."""

    node: str
    sensor: str
    field: str
    from_ms: int
    to_ms: int
    points: int


class SeriesReader:
    """Answers queries from `db`, a connection of its own; one thread at a time."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def series(self, query: SeriesQuery) -> Series:
        """Return the points. Raises UnknownSensorError, which names the known fields."""
        sensor = self._sensor(query)
        shapes = self._shapes(sensor, query)
        # All reads below see one state of the database.
        self._db.execute("BEGIN")
        try:
            if query.to_ms - query.from_ms <= _LONGEST_RAW_MS and self._has_readings(sensor, query):
                points = self._readings(sensor, shapes, query.from_ms, query.to_ms)
                return self._answer(query, "readings", points)
            return self._answer(query, "means", self._means(sensor, shapes, query))
        finally:
            self._db.execute("COMMIT")

    def _sensor(self, query: SeriesQuery) -> int:
        found = self._db.execute(
            "SELECT sensor.id FROM sensor JOIN node ON node.id = sensor.node"
            " WHERE node.name = ? AND sensor.name = ?",
            (query.node, query.sensor),
        ).fetchone()
        if found is None:
            raise UnknownSensorError(
                f"sensor: found {query.node}:{query.sensor}, which has no history"
            )
        return int(found[0])

    def _shapes(self, sensor: int, query: SeriesQuery) -> dict[int, int]:
        """Return the position of the field in each shape of the sensor that has it."""
        found = self._db.execute(
            "SELECT shape.id, fields FROM sensor_shape JOIN shape ON shape.id = shape"
            " WHERE sensor = ?",
            (sensor,),
        ).fetchall()
        shapes = {number: fields_of(text) for number, text in found}
        places = {
            n: names.index(query.field) for n, names in shapes.items() if query.field in names
        }
        if not places:
            known = sorted({name for names in shapes.values() for name in names})
            raise UnknownSensorError(
                f"field: found {query.field[:80]!r}, expected one of {', '.join(known)}"
            )
        return places

    def _has_readings(self, sensor: int, query: SeriesQuery) -> bool:
        """Whether the single readings of the range have not expired yet."""
        (oldest,) = self._db.execute(
            "SELECT min(bucket_ms) FROM span WHERE sensor = ?", (sensor,)
        ).fetchone()
        (folded,) = self._db.execute(
            "SELECT min(bucket_ms) FROM mean WHERE sensor = ?"
            " AND field = (SELECT id FROM field WHERE name = ?)",
            (sensor, query.field),
        ).fetchone()
        if folded is None:
            return True
        return oldest is not None and (bucket_of(query.from_ms) >= oldest or folded >= oldest)

    def _readings(
        self, sensor: int, places: dict[int, int], from_ms: int, to_ms: int
    ) -> list[Point]:
        points = self._older(sensor, places, from_ms, to_ms)
        points += _points(self._newest(sensor, from_ms, to_ms), places)
        points.sort()
        return points

    def _older(self, sensor: int, places: dict[int, int], from_ms: int, to_ms: int) -> list[Point]:
        """Return the readings in the table `reading`, in no order."""
        found = self._db.execute(
            "SELECT timestamp_ms, shape, data FROM span CROSS JOIN reading"
            " ON reading.stream = span.stream AND reading.seq BETWEEN span.first AND span.last"
            " WHERE span.sensor = ? AND span.bucket_ms BETWEEN ? AND ? AND reading.sensor = ?"
            " AND timestamp_ms BETWEEN max(?, bucket_ms) AND min(?, bucket_ms + ?)",
            (
                *(sensor, bucket_of(from_ms), to_ms, sensor),
                *(from_ms, to_ms - 1, BUCKET_MS - 1),
            ),
        )
        return list(_points(found, places))

    def _newest(self, sensor: int, from_ms: int, to_ms: int) -> Iterable[tuple[int, int, bytes]]:
        return self._db.execute(
            "SELECT timestamp_ms, shape, data FROM unmoved"
            " WHERE sensor = ? AND timestamp_ms BETWEEN ? AND ?",
            (sensor, from_ms, to_ms - 1),
        )

    def _means(self, sensor: int, places: dict[int, int], query: SeriesQuery) -> list[Point]:
        open_buckets = [
            bucket_ms
            for (bucket_ms,) in self._db.execute(
                "SELECT DISTINCT bucket_ms FROM span WHERE sensor = ? AND folded = 0"
                " AND bucket_ms BETWEEN ? AND ? ORDER BY bucket_ms DESC LIMIT ?",
                (sensor, bucket_of(query.from_ms), query.to_ms - 1, _BUCKETS_WITHOUT_MEANS),
            )
        ]
        found: dict[int, Point] = {
            point[0]: point
            for point in self._db.execute(
                "SELECT bucket_ms, mean, low, high, count FROM mean WHERE sensor = ?"
                " AND field = (SELECT id FROM field WHERE name = ?) AND bucket_ms BETWEEN ? AND ?",
                (sensor, query.field, bucket_of(query.from_ms), query.to_ms - 1),
            )
        }
        raw: list[Point] = []
        for bucket_ms in open_buckets:
            raw += self._older(sensor, places, bucket_ms, bucket_ms + BUCKET_MS)
            found.pop(bucket_ms, None)
        raw += _points(self._newest(sensor, query.from_ms, query.to_ms), places)
        for point in _downsampled(sorted(raw), 0, BUCKET_MS):
            known = found.get(point[0])
            found[point[0]] = _merged([known, point]) if known else point
        return sorted(found.values())

    @staticmethod
    def _answer(
        query: SeriesQuery, source: Literal["readings", "means"], points: list[Point]
    ) -> Series:
        if len(points) > query.points:
            step_ms = -(-(query.to_ms - query.from_ms) // query.points)
            points = list(_downsampled(points, query.from_ms, step_ms))
        sensor = f"{query.node}:{query.sensor}"
        return Series(sensor, query.field, query.from_ms, query.to_ms, source, points)


def _points(rows: Iterable[tuple[int, int, bytes]], places: dict[int, int]) -> Iterator[Point]:
    for timestamp_ms, shape, data in rows:
        place = places.get(shape)
        value = unpack(data)[place] if place is not None else ""
        if not isinstance(value, str):
            number = float(value)
            yield timestamp_ms, number, number, number, 1


def _downsampled(points: Iterable[Point], from_ms: int, step_ms: int) -> Iterator[Point]:
    """Yield one point per interval of `step_ms` that has any; `points` are in order of time."""
    group: list[Point] = []
    start_ms = 0
    for point in points:
        interval_ms = point[0] - (point[0] - from_ms) % step_ms
        if group and interval_ms != start_ms:
            yield (start_ms, *_merged(group)[1:])
            group = []
        start_ms = interval_ms
        group.append(point)
    if group:
        yield (start_ms, *_merged(group)[1:])


def _merged(points: list[Point]) -> Point:
    count = sum(point[4] for point in points)
    mean = sum(point[1] * point[4] for point in points) / count
    low, high = min(point[2] for point in points), max(point[3] for point in points)
    return points[0][0], mean, low, high, count
