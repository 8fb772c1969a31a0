"""Writer of the history: stores each reading once, by its primary key (node, stream, seq).

One `store` is one commit. After a failed one, the writer's caches are wrong and it is thrown away.
"""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from bus.contract.messages import Reading
from bus.errors import BadDataError
from bus.files.database import transaction
from hub_app.history.clock_repair import ClockRepair
from hub_app.history.decode import LARGEST_INTEGER, MAX_STREAM_CHARS
from hub_app.history.events import Event
from hub_app.history.names import MAX_SENSORS, Names
from hub_app.history.schema import BUCKET_MS, LATE, bucket_of, pack

# Readings move from the table `newest` to `reading` this often, or sooner where they are many.
_MOVE_EVERY_MS = 300_000
_SLOTS = 2048


class Arrival(msgspec.Struct, frozen=True):
    """A reading as it arrived; `is_late`: in a backlog."""

    reading: Reading
    is_late: bool


class Writer:
    """The only writer of a history file, used by one thread."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._names = Names(db)
        self._clock = ClockRepair(db)
        # (stream, seq) of the readings that are still in `newest` only.
        self._newest: set[tuple[int, int]] = set(db.execute("SELECT stream, seq FROM unmoved"))
        (self._arrival,) = db.execute(
            "SELECT max(arrival) FROM (SELECT arrival FROM moved UNION SELECT arrival FROM newest)"
        ).fetchone()
        self._moved_ms = 0
        (self._events,) = db.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()

    def check(self, reading: Reading) -> None:
        """Raise BadDataError where a reading cannot be stored."""
        if len(reading.stream) > MAX_STREAM_CHARS:
            raise BadDataError(
                f"{reading.sensor_id}: the stream has {len(reading.stream)} characters, "
                f"expected at most {MAX_STREAM_CHARS}"
            )
        if self._names.is_full and not self._names.knows(reading.node, reading.sensor_id):
            raise BadDataError(
                f"{reading.sensor_id}: the history has {MAX_SENSORS} sensors and takes no more"
            )
        if max(reading.seq, reading.timestamp_ms, reading.monotonic_ms) > LARGEST_INTEGER:
            raise BadDataError(f"{reading.sensor_id}: a number is above 2^53")
        try:
            pack(reading.data)
        except OverflowError as e:
            raise BadDataError(f"{reading.sensor_id}: {e}") from e

    def store(self, arrivals: Sequence[Arrival], events: Iterable[Event], now_ms: int) -> int:
        """Commit readings and events; return how many readings were new.

        Raises sqlite3.Error or DamagedError where nothing was stored; this writer is then unusable.
        """
        self._clock.now_ms = now_ms
        with transaction(self._db):
            added = sum(self._insert(arrival) for arrival in arrivals)
            for event in events:
                self._insert_event(event)
            is_due = now_ms - self._moved_ms >= _MOVE_EVERY_MS
            if is_due or self._clock.is_due:
                self._move()
                self._moved_ms = now_ms
            self._clock.repair(self._extend_span)
        return added

    def _insert(self, arrival: Arrival) -> bool:
        reading = arrival.reading
        stream = self._names.stream(reading.node, reading.stream)
        sensor = self._names.sensor(reading.node, reading.sensor_id, reading.plugin)
        node = self._names.node(reading.node)
        # Even for a repeated reading: it may be the first whose clock was set.
        timestamp_ms, flags = self._clock.corrected(node, stream, reading)
        if self._is_stored(stream, reading.seq):
            return False
        fields, data = pack(reading.data)
        shape = self._names.shape(fields)
        self._names.note_shape(sensor, shape)
        flags |= LATE if arrival.is_late else 0
        if len(self._newest) == _SLOTS:
            self._move()
        self._arrival += 1
        row = (stream, reading.seq, sensor, timestamp_ms, flags, shape, data)
        self._db.execute(
            "INSERT OR REPLACE INTO newest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self._arrival % _SLOTS, self._arrival, *row),
        )
        self._newest.add((stream, reading.seq))
        return True

    def _is_stored(self, stream: int, seq: int) -> bool:
        if (stream, seq) in self._newest:
            return True
        found = self._db.execute(
            "SELECT 1 FROM reading WHERE stream = ? AND seq = ?", (stream, seq)
        )
        return found.fetchone() is not None

    def _move(self) -> None:
        """Move the readings in `newest` to `reading`, and note their spans."""
        spans = self._db.execute(
            "SELECT sensor, timestamp_ms - timestamp_ms % ?, stream, min(seq), max(seq)"
            " FROM unmoved GROUP BY 1, 2, 3",
            (BUCKET_MS,),
        )
        self._write_spans(spans.fetchall())
        self._db.execute(
            "INSERT INTO reading SELECT stream, seq, sensor, timestamp_ms, flags, shape, data"
            " FROM unmoved ORDER BY stream, seq"
        )
        self._db.execute("UPDATE moved SET arrival = ?", (self._arrival,))
        self._newest.clear()

    def _extend_span(self, sensor: int, timestamp_ms: int, stream: int, seq: int) -> None:
        self._write_spans([(sensor, bucket_of(timestamp_ms), stream, seq, seq)])

    def _write_spans(self, spans: Iterable[tuple[int, ...]]) -> None:
        self._db.executemany(
            "INSERT INTO span (sensor, bucket_ms, stream, first, last) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET first = min(first, excluded.first),"
            " last = max(last, excluded.last), folded = 0",
            spans,
        )

    def _insert_event(self, event: Event) -> None:
        self._events += 1
        self._db.execute(
            "INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(self._names.node(event.node), event.at_ms, self._events),
                *(event.kind, event.subject, event.detail),
            ),
        )
