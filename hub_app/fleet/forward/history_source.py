"""Source of what is forwarded: the hub's history, read beside its writer."""

from pathlib import Path

import msgspec

from hub_app.history.schema import open_for_reading

# seq, sensor, timestamp_ms, flags, shape, data; sensor and shape are ids in the file.
Row = tuple[int, int, int, int, int, bytes]
_COLUMNS = "seq, sensor, timestamp_ms, flags, shape, data"


class StreamKey(msgspec.Struct, frozen=True):
    """Name of a stream, for ever."""

    node: str
    stream: str


class SensorName(msgspec.Struct, frozen=True):
    node: str
    sensor: str
    plugin: str


class EventRow(msgspec.Struct, frozen=True):
    id: int
    node: str
    at_ms: int
    kind: str
    subject: str
    detail: str


class AlarmRow(msgspec.Struct, frozen=True):
    """An alarm of the history; `end_ms` is None while it is active."""

    id: int
    node: str
    name: str
    begin_ms: int
    end_ms: int | None
    rule: str
    sensor: str
    field: str
    severity: str
    text: str
    value: float | None
    worst: float | None
    bound: float | None
    acknowledged_ms: int
    acknowledged_by: str


_SHOWN = "substr(node.name, 1, 1) != '-'"
_ALARMS = (
    "SELECT alarm.id, node.name, alarm.name, begin_ms, end_ms, rule, sensor, field, severity, text,"  # noqa: S608
    " value, worst, bound, acknowledged_ms, acknowledged_by FROM alarm"
    f" JOIN node ON node.id = alarm.node WHERE {_SHOWN}"
)


class HistorySource:
    """A read-only connection to the history, for one thread.

    Between `begin` and `end` all reads see one state of the file. Raises sqlite3.Error.
    """

    def __init__(self, path: Path) -> None:
        self._db = open_for_reading(path)
        self._sensors: dict[int, SensorName] = {}
        self._shapes: dict[int, str] = {}

    def close(self) -> None:
        self._db.close()

    def begin(self) -> None:
        self._db.execute("BEGIN")

    def end(self) -> None:
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def identity(self) -> str:
        """Return the lasting name of this history, which its backups and copies share."""
        (identity,) = self._db.execute("SELECT name FROM identity").fetchone()
        return str(identity)

    def streams(self) -> dict[int, StreamKey]:
        """Return the streams by their ids in the file, without those that are being removed."""
        found = self._db.execute(
            "SELECT stream.id, node.name, stream.name FROM stream"  # noqa: S608 - a constant
            f" JOIN node ON node.id = stream.node WHERE {_SHOWN}"
        )
        return {number: StreamKey(node, name) for number, node, name in found}

    def nodes(self) -> set[str]:
        found = self._db.execute(f"SELECT name FROM node WHERE {_SHOWN}")  # noqa: S608
        return {name for (name,) in found}

    def version(self) -> int:
        """Return a number that changes with each commit of another connection."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        return int(version)

    def moved(self) -> int:
        """Return the arrival of the last reading that `readings` returns."""
        (arrival,) = self._db.execute("SELECT arrival FROM moved").fetchone()
        return int(arrival)

    def unmoved(self, after: int = -1) -> list[tuple[int, int, Row]]:
        """Return the newest readings, those that `readings` does not return, as they arrived.

        Each has its arrival, which is greater than `after`, and its stream.
        """
        found = self._db.execute(
            f"SELECT arrival, stream, {_COLUMNS} FROM unmoved WHERE arrival > ?"  # noqa: S608
            " ORDER BY arrival",
            (after,),
        )
        return [(row[0], row[1], row[2:]) for row in found]

    def readings(self, stream: int, first: int, last: int, most: int) -> list[Row]:
        """Return readings of a stream in the order of their numbers."""
        return self._db.execute(
            f"SELECT {_COLUMNS} FROM reading WHERE stream = ? AND seq BETWEEN ? AND ?"  # noqa: S608
            " ORDER BY seq LIMIT ?",
            (stream, first, last, most),
        ).fetchall()

    def extent(self, stream: int) -> tuple[int, int] | None:
        """Return the least and the greatest number of a stream's readings."""
        first, last = self._db.execute(
            "SELECT (SELECT min(seq) FROM reading WHERE stream = ?1),"
            " (SELECT max(seq) FROM reading WHERE stream = ?1)",
            (stream,),
        ).fetchone()
        return None if first is None else (first, last)

    def count(self, stream: int, first: int, last: int, most: int) -> int:
        """Return how many readings of a stream are in a range of numbers, at most `most`."""
        (count,) = self._db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM reading"
            " WHERE stream = ? AND seq BETWEEN ? AND ? LIMIT ?)",
            (stream, first, last, most),
        ).fetchone()
        return int(count)

    def sensor(self, number: int) -> SensorName | None:
        """Return the name of a sensor; None where it is being removed."""
        found = self._sensors.get(number)
        if found is None:
            self._read_sensors()
            found = self._sensors.get(number)
        return found

    def forget_names(self) -> None:
        """Read the names again: sensors may have been renamed or removed."""
        self._sensors.clear()

    def shape(self, number: int) -> str:
        """Return the names of the fields as JSON."""
        found = self._shapes.get(number)
        if found is None:
            (found,) = self._db.execute(
                "SELECT fields FROM shape WHERE id = ?", (number,)
            ).fetchone()
            self._shapes[number] = found
        return found

    def events_after(self, number: int, most: int) -> list[EventRow]:
        found = self._db.execute(
            "SELECT event.id, node.name, at_ms, kind, subject, detail FROM event"  # noqa: S608
            f" JOIN node ON node.id = event.node WHERE event.id > ? AND {_SHOWN}"
            " ORDER BY event.id LIMIT ?",
            (number, most),
        )
        return [EventRow(*row) for row in found]

    def event(self, number: int) -> EventRow | None:
        found = self.events_after(number - 1, 1)
        return found[0] if found and found[0].id == number else None

    def alarms_after(self, number: int, most: int) -> list[AlarmRow]:
        found = self._db.execute(
            f"{_ALARMS} AND alarm.id > ? ORDER BY alarm.id LIMIT ?", (number, most)
        )
        return [AlarmRow(*row) for row in found]

    def alarm(self, node: str, name: str, begin_ms: int) -> AlarmRow | None:
        found = self._db.execute(
            f"{_ALARMS} AND alarm.node = (SELECT id FROM node WHERE name = ?)"  # noqa: S608
            " AND alarm.name = ? AND begin_ms = ?",
            (node, name, begin_ms),
        ).fetchone()
        return None if found is None else AlarmRow(*found)

    def _read_sensors(self) -> None:
        self._sensors = {
            number: SensorName(*names)
            for number, *names in self._db.execute(
                "SELECT sensor.id, node.name, sensor.name, plugin FROM sensor"  # noqa: S608
                f" JOIN node ON node.id = sensor.node WHERE {_SHOWN}"
                " AND substr(sensor.name, 1, 1) != '-'"
            )
        }
