"""Query for the fields of one sensor over time. It reads while the writer writes.

A short range is answered from single readings, a long one from 5-minute means; where a bucket has
no mean yet, from its readings.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from hub_app.history.query.lookup import SensorFields, look_up
from hub_app.history.query.means import means
from hub_app.history.query.points import Buckets, Point, downsampled
from hub_app.history.query.readings import values
from hub_app.history.query.resolution import step_for
from hub_app.history.schema import BUCKET_MS, bucket_of

MAX_POINTS = 10_000
DEFAULT_POINTS = 500
# Of all fields of a chart together: some 2 MB of JSON.
_MOST_POINTS = 40_000
# Reading a day of samples, one every 2 s, takes some 100 ms.
_LONGEST_RAW_MS = 86_400_000
# From this step on, a chart is made of means: a day of them takes 2 % of the time of its readings.
_MEANS_STEP_MS = 120_000

Source = Literal["readings", "means"]


class Series(msgspec.Struct, frozen=True):
    """Points of one field in order of time, each [timestamp_ms, mean, low, high, count].

    `source` is `readings` or `means`. Where there are more of these than the requested points, a
    point stands for several and has the time at which its interval begins.
    """

    sensor: str
    field: str
    from_ms: int
    to_ms: int
    source: Source
    points: list[Point]


class SeriesQuery(msgspec.Struct, frozen=True):
    """A sensor, a field and a range of time in Unix milliseconds, `to_ms` exclusive."""

    node: str
    sensor: str
    field: str
    from_ms: int
    to_ms: int
    points: int


class ChartQuery(msgspec.Struct, frozen=True):
    """A sensor, some or (empty) all of its fields, a range of time, and a width in pixels."""

    node: str
    sensor: str
    fields: list[str]
    from_ms: int
    to_ms: int
    width: int


class FieldPoints(msgspec.Struct, frozen=True):
    """Points of one field, as in `Series`."""

    field: str
    points: list[Point]


class ChartSeries(msgspec.Struct, frozen=True):
    """Points of several fields. Each stands for `bucket_ms`; a lone reading has its own time."""

    sensor: str
    from_ms: int
    to_ms: int
    source: Source
    bucket_ms: int
    series: list[FieldPoints]


class SeriesReader:
    """Answers queries from `db`, a connection of its own; one thread at a time."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def series(self, query: SeriesQuery) -> Series:
        """Return the points of a field. Raises UnknownSensorError, which names what there is."""
        sensor = look_up(self._db, query.node, query.sensor, [query.field])
        times = (query.from_ms, query.to_ms)
        with _one_state(self._db):
            source = self._source(sensor, *times, step_ms=0)
            if source == "readings":
                points = sorted((t, v, v, v, 1) for _, t, v in values(self._db, sensor, *times))
            else:
                (points,) = means(self._db, sensor, *times, BUCKET_MS)
        if len(points) > query.points:
            step_ms = -(-(query.to_ms - query.from_ms) // query.points)
            points = list(downsampled(points, query.from_ms, step_ms))
        name = f"{query.node}:{query.sensor}"
        return Series(name, query.field, *times, source, points)

    def chart(self, query: ChartQuery) -> ChartSeries:
        """Return at most `width` points of each field.

        Raises UnknownSensorError and RangeTooLongError.
        """
        sensor = look_up(self._db, query.node, query.sensor, query.fields)
        times = (query.from_ms, query.to_ms)
        width = max(1, min(query.width, _MOST_POINTS // max(1, len(sensor.fields))))
        step_ms = step_for(query.to_ms - query.from_ms, width)
        with _one_state(self._db):
            source = self._source(sensor, *times, step_ms)
            if source == "means":
                step_ms = max(step_ms, BUCKET_MS)
                points = means(self._db, sensor, *times, step_ms)
            else:
                points = self._bucketed(sensor, *times, step_ms)
        series = [FieldPoints(*each) for each in zip(sensor.fields, points, strict=True)]
        name = f"{query.node}:{query.sensor}"
        return ChartSeries(name, *times, source, step_ms, series)

    def _bucketed(
        self, sensor: SensorFields, from_ms: int, to_ms: int, step_ms: int
    ) -> list[list[Point]]:
        buckets = [Buckets(step_ms) for _ in sensor.fields]
        for i, timestamp_ms, value in values(self._db, sensor, from_ms, to_ms):
            buckets[i].add(timestamp_ms, value)
        return [each.points() for each in buckets]

    def _source(self, sensor: SensorFields, from_ms: int, to_ms: int, step_ms: int) -> Source:
        is_short = to_ms - from_ms <= _LONGEST_RAW_MS and step_ms < _MEANS_STEP_MS
        return "readings" if is_short and self._has_readings(sensor, from_ms) else "means"

    def _has_readings(self, sensor: SensorFields, from_ms: int) -> bool:
        """Whether the single readings of the range have not expired yet."""
        (oldest,) = self._db.execute(
            "SELECT min(bucket_ms) FROM span WHERE sensor = ?", (sensor.sensor,)
        ).fetchone()
        firsts = [
            self._db.execute(
                "SELECT min(bucket_ms) FROM mean WHERE sensor = ?"
                " AND field = (SELECT id FROM field WHERE name = ?)",
                (sensor.sensor, field),
            ).fetchone()[0]
            for field in sensor.fields
        ]
        folded = min((first for first in firsts if first is not None), default=None)
        if folded is None:
            return True
        return oldest is not None and (bucket_of(from_ms) >= oldest or folded >= oldest)


@contextmanager
def _one_state(db: sqlite3.Connection) -> Iterator[None]:
    """All reads within see one state of the database."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")
