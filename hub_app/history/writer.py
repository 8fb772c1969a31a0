"""Readings into the history, each once: (node, stream, seq) is its primary key.

One `store` is one commit. What is known of names is cached here, and forgotten when one fails.
"""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from bus.contract.messages import Reading
from bus.database import transaction
from bus.errors import BadDataError
from hub_app.history.clock import ClockBook
from hub_app.history.names import MAX_SENSORS, Names
from hub_app.history.schema import BUCKET_MS, LATE, bucket_of, pack

# Readings move to their place at this pace, or sooner where they are many.
_MOVE_EVERY_MS = 300_000
_SLOTS = 2048
# What SQLite holds; a number beyond is no reading's.
LARGEST = 2**53
MAX_STREAM_CHARS = 64


class Arrival(msgspec.Struct, frozen=True):
    """A reading as it came; `is_late`: through the backlog."""

    reading: Reading
    is_late: bool


class Event(msgspec.Struct, frozen=True):
    """Something that explains a gap: a `kind` of `events`, of a node's `subject`."""

    node: str
    at_ms: int
    kind: str
    subject: str = ""
    detail: str = ""


class Writer:
    """The one writer of a history. Every method is one transaction; one thread."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._names = Names(db)
        self._clock = ClockBook(db)
        # Readings that have not moved yet.
        self._newest: set[tuple[int, int]] = set(db.execute("SELECT stream, seq FROM unmoved"))
        (self._arrival,) = db.execute(
            "SELECT max(arrival) FROM (SELECT arrival FROM moved UNION SELECT arrival FROM newest)"
        ).fetchone()
        self._moved_ms = 0
        (self._events,) = db.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()

    def check(self, reading: Reading) -> None:
        """Raise BadDataError where a reading cannot be kept as it is."""
        if len(reading.stream) > MAX_STREAM_CHARS:
            raise BadDataError(
                f"{reading.sensor_id}: found a stream of {len(reading.stream)} letters"
            )
        if self._names.is_full and not self._names.knows(reading.node, reading.sensor_id):
            raise BadDataError(f"{reading.sensor_id}: there are {MAX_SENSORS} sensors already")
        if max(reading.seq, reading.timestamp_ms, reading.monotonic_ms) > LARGEST:
            raise BadDataError(f"{reading.sensor_id}: a number is larger than 2^53")
        try:
            pack(reading.data)
        except OverflowError as e:
            raise BadDataError(f"{reading.sensor_id}: {e}") from e

    def store(self, arrivals: Sequence[Arrival], events: Iterable[Event], now_ms: int) -> int:
        """Commit readings and events; return how many readings were new.

        Raises sqlite3.Error or DamagedError where nothing was stored; then this writer is spent.
        """
        self._clock.now_ms = now_ms
        with transaction(self._db):
            added = sum(self._insert(arrival) for arrival in arrivals)
            for event in events:
                self._insert_event(event)
            is_due = now_ms - self._moved_ms >= _MOVE_EVERY_MS
            if is_due or self._clock.has_something_to_date:
                self._move()
                self._moved_ms = now_ms
            self._clock.date_again(self._cover)
        return added

    def _insert(self, arrival: Arrival) -> bool:
        reading = arrival.reading
        stream = self._names.stream(reading.node, reading.stream)
        sensor = self._names.sensor(reading.node, reading.sensor_id, reading.plugin)
        node = self._names.node(reading.node)
        # Also of a repeated reading: it may be the first to know the time.
        timestamp_ms, flags = self._clock.date(node, stream, reading)
        if self._is_known(stream, reading.seq):
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

    def _is_known(self, stream: int, seq: int) -> bool:
        if (stream, seq) in self._newest:
            return True
        found = self._db.execute(
            "SELECT 1 FROM reading WHERE stream = ? AND seq = ?", (stream, seq)
        )
        return found.fetchone() is not None

    def _move(self) -> None:
        """Move the newest readings to where they stay, and say where that is."""
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

    def _cover(self, sensor: int, timestamp_ms: int, stream: int, seq: int) -> None:
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
