"""Latest readings of all sensors, as the broker retains them: they are in no other file."""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from bus.contract.messages import Reading, encode
from bus.contract.topics import Topic, TopicKind, parse
from bus.errors import BadTopicError, UnavailableError
from hub_app.history.schema import REDATED, UNSET, fields_of, open_for_reading, unpack

# Sensor, timestamp_ms, stream, seq, flags, shape, data.
_Row = tuple[int, int, int, int, int, int, bytes]

_SENSORS = (
    "SELECT sensor.id, node.name, sensor.name, plugin FROM sensor JOIN node ON node.id = node"
)
_UNMOVED = (
    "SELECT sensor, max(timestamp_ms), stream, seq, flags, shape, data FROM unmoved GROUP BY sensor"
)
_LAST_SPAN = (
    "SELECT stream, first, last FROM span WHERE sensor = ?"
    " ORDER BY bucket_ms DESC, stream DESC LIMIT 1"
)
_LAST_OF_SPAN = (
    "SELECT sensor, timestamp_ms, stream, seq, flags, shape, data FROM reading"
    " WHERE stream = ? AND seq BETWEEN ? AND ? AND sensor = ? ORDER BY seq DESC LIMIT 1"
)


class LatestReadings:
    """Retained messages of the topics of readings, from the history at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keeps(self, topic: str) -> bool:
        try:
            return parse(topic).kind is TopicKind.READING
        except BadTopicError:
            return False

    def load(self, topics: Collection[str]) -> Mapping[str, bytes]:
        if not topics or not self._path.exists():
            return {}
        try:
            with contextlib.closing(open_for_reading(self._path)) as db:
                return dict(_values(db, topics))
        except sqlite3.Error as e:
            raise UnavailableError(f"{self._path} cannot be read: {e}") from e


def _values(db: sqlite3.Connection, topics: Collection[str]) -> Iterator[tuple[str, bytes]]:
    unmoved: dict[int, _Row] = {row[0]: row for row in db.execute(_UNMOVED)}
    shapes = {shape: fields_of(text) for shape, text in db.execute("SELECT id, fields FROM shape")}
    streams: dict[int, str] = dict(db.execute("SELECT id, name FROM stream"))
    for sensor, node, name, plugin in db.execute(_SENSORS).fetchall():
        try:
            topic = str(Topic(node, TopicKind.READING, name))
        except BadTopicError:
            # The name of what is being removed, or of a node's health.
            continue
        row = _latest(db, sensor, unmoved.get(sensor)) if topic in topics else None
        if row is None:
            continue
        _, timestamp_ms, stream, seq, flags, shape, data = row
        values = dict(zip(shapes[shape], unpack(data), strict=True))
        reading = Reading(
            *(node, name, timestamp_ms, streams[stream], seq, values, plugin),
            clock="unset" if flags & UNSET else "redated" if flags & REDATED else "set",
        )
        yield topic, encode(reading)


def _latest(db: sqlite3.Connection, sensor: int, unmoved: _Row | None) -> _Row | None:
    span = db.execute(_LAST_SPAN, (sensor,)).fetchone()
    moved: _Row | None = span and db.execute(_LAST_OF_SPAN, (*span, sensor)).fetchone()
    return max(filter(None, (moved, unmoved)), key=lambda row: (row[1], row[3]), default=None)
