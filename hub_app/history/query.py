"""Answers from the history: one field of one sensor over time. It reads beside the writer.

Short ranges come from single readings, long ones from 5-minute means and, for what has no mean yet,
from its readings.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from bus.errors import BadDataError
from hub_app.history.schema import BUCKET_MS, bucket_of, fields_of, unpack

MAX_POINTS = 10_000
DEFAULT_POINTS = 500
# A day of readings at one in 2 s is read in some 100 ms.
_LONGEST_RAW_MS = 86_400_000
# Buckets without means, as long as a backlog is coming in: the newest of them are read.
_UNFOLDED_BUCKETS = 24

# When, mean, least, greatest, of how many.
Point = tuple[int, float, float, float, int]


class UnknownSensorError(BadDataError):
    """A sensor or field that the history has never heard of."""


class Series(msgspec.Struct, frozen=True):
    """Points of one field in order of time, each [timestamp_ms, mean, low, high, count].

    `source` is `readings` or `means`. Where there are more of these than points were asked for, a
    point stands for several and is dated where its interval begins.
    """

    sensor: str
    field: str
    from_ms: int
    to_ms: int
    source: Literal["readings", "means"]
    points: list[Point]


class Asked(msgspec.Struct, frozen=True):
    """What is asked for: times in Unix milliseconds, `to_ms` exclusive."""

    node: str
    sensor: str
    field: str
    from_ms: int
    to_ms: int
    points: int


class Query:
    """Reads from `db`, a connection of its own; one thread at a time."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def series(self, asked: Asked) -> Series:
        """Raises UnknownSensorError, which names what there is."""
        sensor = self._sensor(asked)
        shapes = self._shapes(sensor, asked)
        # One moment of the database for everything that follows.
        self._db.execute("BEGIN")
        try:
            if asked.to_ms - asked.from_ms <= _LONGEST_RAW_MS and self._has_readings(sensor, asked):
                points = self._readings(sensor, shapes, asked.from_ms, asked.to_ms)
                return self._answer(asked, "readings", points)
            return self._answer(asked, "means", self._means(sensor, shapes, asked))
        finally:
            self._db.execute("COMMIT")

    def _sensor(self, asked: Asked) -> int:
        found = self._db.execute(
            "SELECT sensor.id FROM sensor JOIN node ON node.id = sensor.node"
            " WHERE node.name = ? AND sensor.name = ?",
            (asked.node, asked.sensor),
        ).fetchone()
        if found is None:
            raise UnknownSensorError(
                f"sensor: found {asked.node}:{asked.sensor}, of which there is no history"
            )
        return int(found[0])

    def _shapes(self, sensor: int, asked: Asked) -> dict[int, int]:
        """Return, of every shape of the sensor that has the field, where in it the field is."""
        found = self._db.execute(
            "SELECT shape.id, fields FROM sensor_shape JOIN shape ON shape.id = shape"
            " WHERE sensor = ?",
            (sensor,),
        ).fetchall()
        shapes = {number: fields_of(text) for number, text in found}
        places = {
            n: names.index(asked.field) for n, names in shapes.items() if asked.field in names
        }
        if not places:
            known = sorted({name for names in shapes.values() for name in names})
            raise UnknownSensorError(
                f"field: found {asked.field[:80]!r}, expected one of {', '.join(known)}"
            )
        return places

    def _has_readings(self, sensor: int, asked: Asked) -> bool:
        """Whether the single readings of the range are still kept."""
        (oldest,) = self._db.execute(
            "SELECT min(bucket_ms) FROM span WHERE sensor = ?", (sensor,)
        ).fetchone()
        (folded,) = self._db.execute(
            "SELECT min(bucket_ms) FROM mean WHERE sensor = ?"
            " AND field = (SELECT id FROM field WHERE name = ?)",
            (sensor, asked.field),
        ).fetchone()
        if folded is None:
            return True
        return oldest is not None and (bucket_of(asked.from_ms) >= oldest or folded >= oldest)

    def _readings(
        self, sensor: int, places: dict[int, int], from_ms: int, to_ms: int
    ) -> list[Point]:
        points = self._settled(sensor, places, from_ms, to_ms)
        points += _points(self._newest(sensor, from_ms, to_ms), places)
        points.sort()
        return points

    def _settled(
        self, sensor: int, places: dict[int, int], from_ms: int, to_ms: int
    ) -> list[Point]:
        """Return the readings that have moved to where they stay, in no order."""
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

    def _means(self, sensor: int, places: dict[int, int], asked: Asked) -> list[Point]:
        open_buckets = [
            bucket_ms
            for (bucket_ms,) in self._db.execute(
                "SELECT DISTINCT bucket_ms FROM span WHERE sensor = ? AND folded = 0"
                " AND bucket_ms BETWEEN ? AND ? ORDER BY bucket_ms DESC LIMIT ?",
                (sensor, bucket_of(asked.from_ms), asked.to_ms - 1, _UNFOLDED_BUCKETS),
            )
        ]
        found: dict[int, Point] = {
            point[0]: point
            for point in self._db.execute(
                "SELECT bucket_ms, mean, low, high, count FROM mean WHERE sensor = ?"
                " AND field = (SELECT id FROM field WHERE name = ?) AND bucket_ms BETWEEN ? AND ?",
                (sensor, asked.field, bucket_of(asked.from_ms), asked.to_ms - 1),
            )
        }
        raw: list[Point] = []
        for bucket_ms in open_buckets:
            raw += self._settled(sensor, places, bucket_ms, bucket_ms + BUCKET_MS)
            found.pop(bucket_ms, None)
        raw += _points(self._newest(sensor, asked.from_ms, asked.to_ms), places)
        for point in _grouped(sorted(raw), 0, BUCKET_MS):
            known = found.get(point[0])
            found[point[0]] = _merged([known, point]) if known else point
        return sorted(found.values())

    @staticmethod
    def _answer(asked: Asked, source: Literal["readings", "means"], points: list[Point]) -> Series:
        if len(points) > asked.points:
            step_ms = -(-(asked.to_ms - asked.from_ms) // asked.points)
            points = list(_grouped(points, asked.from_ms, step_ms))
        sensor = f"{asked.node}:{asked.sensor}"
        return Series(sensor, asked.field, asked.from_ms, asked.to_ms, source, points)


def _points(rows: Iterable[tuple[int, int, bytes]], places: dict[int, int]) -> Iterator[Point]:
    for timestamp_ms, shape, data in rows:
        place = places.get(shape)
        value = unpack(data)[place] if place is not None else ""
        if not isinstance(value, str):
            number = float(value)
            yield timestamp_ms, number, number, number, 1


def _grouped(points: Iterable[Point], from_ms: int, step_ms: int) -> Iterator[Point]:
    """Yield one point for each interval of `step_ms` that has any; `points` are in order."""
    group: list[Point] = []
    start_ms = 0
    for point in points:
        its_ms = point[0] - (point[0] - from_ms) % step_ms
        if group and its_ms != start_ms:
            yield (start_ms, *_merged(group)[1:])
            group = []
        start_ms = its_ms
        group.append(point)
    if group:
        yield (start_ms, *_merged(group)[1:])


def _merged(points: list[Point]) -> Point:
    count = sum(point[4] for point in points)
    mean = sum(point[1] * point[4] for point in points) / count
    low, high = min(point[2] for point in points), max(point[3] for point in points)
    return points[0][0], mean, low, high, count
