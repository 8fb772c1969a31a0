"""Readings into the history, each once: (node, stream, seq) is its primary key.

One `store` is one commit. What is known of names is cached here, and forgotten when one fails.
"""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from broker.database import transaction
from broker.errors import BadDataError
from broker.messages import Reading
from hub_app.history_clock import ClockBook
from hub_app.history_file import LATE, bucket_of, pack
from hub_app.history_names import MAX_SENSORS, Names

# Spans are written at this pace, or with readings that come out of order.
_SPANS_EVERY_MS = 60_000
# What SQLite holds; a number beyond is no reading's.
LARGEST = 2**53
MAX_STREAM_CHARS = 64


class Arrival(msgspec.Struct, frozen=True):
    """A reading as it came; `is_late`: through the backlog."""

    reading: Reading
    is_late: bool


class Event(msgspec.Struct, frozen=True):
    """Something that explains a gap: a `kind` of `hub_app.chronicle`, of a node's `subject`."""

    node: str
    at_ms: int
    kind: str
    subject: str = ""
    detail: str = ""


Span = tuple[int, int, int]


class Writer:
    """The one writer of a history. Every method is one transaction; one thread."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._names = Names(db)
        self._clock = ClockBook(db)
        # Of readings beyond their stream's `spanned_to`: which seqs each span covers.
        self._spans: dict[Span, list[int]] = {}
        self._spanned_ms = 0
        self._events = 0
        self._load()

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
            added = [arrival for arrival in arrivals if self._insert(arrival)]
            for event in events:
                self._insert_event(event)
            moved = self._clock.date_again(self._cover)
            out_of_order = any(self._covers_the_past(arrival.reading) for arrival in added)
            if moved or out_of_order or now_ms - self._spanned_ms >= _SPANS_EVERY_MS:
                self._write_spans()
                self._spanned_ms = now_ms
        return len(added)

    def _insert(self, arrival: Arrival) -> bool:
        reading = arrival.reading
        stream = self._names.stream(reading.node, reading.stream)
        sensor = self._names.sensor(reading.node, reading.sensor_id, reading.plugin)
        fields, data = pack(reading.data)
        shape = self._names.shape(fields)
        node = self._names.node(reading.node)
        timestamp_ms, flags = self._clock.date(node, stream.id, reading)
        inserted = self._db.execute(
            "INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(stream.id, reading.seq, sensor, timestamp_ms),
                *(flags | (LATE if arrival.is_late else 0), shape, data),
            ),
        ).rowcount
        if inserted:
            self._names.note_shape(sensor, shape)
            self._cover(sensor, timestamp_ms, stream.id, reading.seq)
            stream.newest = max(stream.newest, reading.seq)
        return bool(inserted)

    def _covers_the_past(self, reading: Reading) -> bool:
        return reading.seq <= self._names.stream(reading.node, reading.stream).spanned_to

    def _cover(self, sensor: int, timestamp_ms: int, stream: int, seq: int) -> None:
        extent = self._spans.setdefault((sensor, bucket_of(timestamp_ms), stream), [seq, seq])
        extent[0], extent[1] = min(extent[0], seq), max(extent[1], seq)

    def _insert_event(self, event: Event) -> None:
        node = self._names.node(event.node)
        self._events += 1
        self._db.execute(
            "INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?, ?)",
            (node, event.at_ms, self._events, event.kind, event.subject, event.detail),
        )

    def _write_spans(self) -> None:
        self._db.executemany(
            "INSERT INTO span (sensor, bucket_ms, stream, first, last) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET first = min(first, excluded.first),"
            " last = max(last, excluded.last), folded = 0",
            [(*span, *extent) for span, extent in self._spans.items()],
        )
        self._spans.clear()
        for stream in self._names.streams:
            if stream.newest > stream.spanned_to:
                stream.spanned_to = stream.newest
                self._db.execute(
                    "UPDATE stream SET spanned_to = ? WHERE id = ?", (stream.newest, stream.id)
                )

    def _load(self) -> None:
        """Learn again which readings are in no span yet."""
        for stream in self._names.load_streams():
            found = self._db.execute(
                "SELECT sensor, timestamp_ms, seq FROM reading WHERE stream = ? AND seq > ?",
                (stream.id, stream.spanned_to),
            )
            for sensor, timestamp_ms, seq in found:
                self._cover(sensor, timestamp_ms, stream.id, seq)
                stream.newest = max(stream.newest, seq)
        (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()
        self._events = last
