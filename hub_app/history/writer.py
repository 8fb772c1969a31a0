"""Writer of the history: stores each reading once, by its primary key (node, stream, seq).

One `store` is one commit. After a failed one, the writer's caches are wrong and it is thrown away.
Readings wait in the small table `newest`, and move to `reading` many at once and in its order: so
each page of it, and each span, is written once for many readings.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import msgspec

from bus.config.limits_table import LimitsConfig
from bus.contract.messages import Reading
from bus.files.database import transaction
from hub_app.alarms import records
from hub_app.alarms.records import Record
from hub_app.history.clock_repair import ClockRepair
from hub_app.history.events import Event
from hub_app.history.names import Names, Source
from hub_app.history.retention import heartbeats
from hub_app.history.retention.heartbeats import HeartbeatMeans
from hub_app.history.schema import BUCKET_MS, LATE, bucket_of, pack
from hub_app.quota.history import HistoryQuota, Wanted
from hub_app.quota.live import QuotaUse
from hub_app.quota.refusals import Reason

# Readings move from the table `newest` to `reading` this often, or when it has so many. Queries
# read all of it, in some 2 ms. Of a large fleet it has more, so that not each reading costs a page
# and a span by itself.
_MOVE_EVERY_MS = 300_000
_MOST_UNMOVED = 16_384
_UNMOVED_OF_NODE = 12
# Rows of one statement: each step of a statement gives the lock of Python's threads away and waits
# for it.
_ROWS = 100
_INSERT = "INSERT OR REPLACE INTO newest VALUES "
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_ROWS = _INSERT + ", ".join([_ROW] * _ROWS)
_INTO_SPAN = "INSERT INTO span (sensor, bucket_ms, stream, first, last)"
_MERGE_SPAN = (
    "ON CONFLICT DO UPDATE SET first = min(first, excluded.first),"
    " last = max(last, excluded.last), folded = 0"
)
_EXTEND_SPAN = f"{_INTO_SPAN} VALUES (?, ?, ?, ?, ?) {_MERGE_SPAN}"
_MOVE_SPANS = (
    f"{_INTO_SPAN} SELECT sensor, timestamp_ms - timestamp_ms % ?, stream, min(seq), max(seq)"  # noqa: S608 - constants
    f" FROM unmoved WHERE true GROUP BY 1, 2, 3 {_MERGE_SPAN}"
)
# Streams whose highest number is remembered.
_MOST_STREAMS = 100_000

# Stream, seq, sensor, timestamp_ms, flags, shape, data.
_Row = tuple[int, int, int, int, int, int, bytes]


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A reading as it arrived; `is_late`: in a backlog."""

    reading: Reading
    is_late: bool


class Outcome(msgspec.Struct, frozen=True):
    """Outcome of a commit: readings that are in the file now, and those without room there."""

    # How many of `kept` are new.
    added: int
    kept: list[Reading]
    refused: list[tuple[Reading, Reason]]


class Writer:
    """The only writer of a history file, used by one thread."""

    def __init__(self, db: sqlite3.Connection, limits: LimitsConfig | None = None) -> None:
        limits = limits or LimitsConfig()
        self._db = db
        self._names = Names(db)
        self._quota = HistoryQuota(db, limits)
        self._clock = ClockRepair(db, limits.boots)
        # The numbers of the readings that are still in `newest` only, by stream.
        self._newest: dict[int, set[int]] = {}
        self._most_unmoved = max(_MOST_UNMOVED, _UNMOVED_OF_NODE * limits.nodes)
        for stream, seq in db.execute("SELECT stream, seq FROM unmoved"):
            self._newest.setdefault(stream, set()).add(seq)
        # Rows of `newest` in use. An earlier program may have left some in any slots.
        self._slots = self._most_unmoved if self._newest else 0
        # The highest number of each stream.
        self._last: dict[int, int] = {}
        (self._arrival,) = db.execute(
            "SELECT max(arrival) FROM (SELECT arrival FROM moved UNION SELECT arrival FROM newest)"
        ).fetchone()
        self._moved_ms = 0
        (self._events,) = db.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()

    def store(
        self,
        arrivals: Sequence[Arrival],
        events: Iterable[Event],
        now_ms: int,
        alarms: Iterable[Record] = (),
        means: Iterable[HeartbeatMeans] = (),
    ) -> Outcome:
        """Commit readings, events, alarms and means of heartbeats.

        Raises sqlite3.Error or DamagedError where nothing was stored; this writer is then unusable.
        """
        self._clock.now_ms = now_ms
        outcome = Outcome(0, [], [])
        with transaction(self._db):
            rows = [row for one in arrivals if (row := self._accept(one, outcome)) is not None]
            self._insert(rows)
            self._quota.write_arrivals(self._db)
            for event in events:
                self._insert_event(event)
            for record in alarms:
                records.write(self._db, self._names.node(record.alarm.node), record)
            heartbeats.write(self._db, self._names, means)
            is_repair_due = self._clock.is_due
            if is_repair_due or now_ms - self._moved_ms >= _MOVE_EVERY_MS:
                self._move()
                self._moved_ms = now_ms
            if is_repair_due:
                self._clock.repair(self._extend_span)
        return msgspec.structs.replace(outcome, added=len(rows))

    @property
    def is_repair_due(self) -> bool:
        """Whether timestamps are to be repaired, which each `store` goes on with."""
        return self._clock.is_due

    def quota_uses(self) -> Iterator[QuotaUse]:
        """Return the use of the nodes' quotas. Any thread may call."""
        return self._quota.uses()

    def forget_unused(self) -> None:
        """Delete streams and sensors that nothing in the file refers to; their places are free."""
        with transaction(self._db):
            delete_unused(self._db)
        self._names.reload()
        self._quota.load(self._db)

    def _refusal(
        self, reading: Reading, source: Source | None, fields: str, data: bytes
    ) -> Reason | None:
        """Take the places of a new reading; return the quota that it exceeds."""
        node, sensor, now_ms = reading.node, reading.sensor_id, self._clock.now_ms
        if source is not None:
            return self._quota.take_again(node, sensor, len(data), now_ms)
        wanted = Wanted(
            node,
            sensor,
            is_new_stream=not self._names.has_stream(node, reading.stream),
            is_new_field_set=not self._names.has_shape(node, sensor, fields),
            data_bytes=len(data),
        )
        return self._quota.take(wanted, now_ms)

    def _accept(self, arrival: Arrival, outcome: Outcome) -> _Row | None:
        """Note the outcome of a reading; return its row where it is new and there is room."""
        reading, names = arrival.reading, self._names
        fields, data = pack(reading.data)
        source = names.known_source(reading, fields)
        if self._is_repeated(reading, source):
            outcome.kept.append(reading)
            return None
        reason = self._refusal(reading, source, fields, data)
        if reason is not None:
            outcome.refused.append((reading, reason))
            return None
        outcome.kept.append(reading)
        if source is None:
            source = names.source(reading, fields)
        stream, seq = source.stream, reading.seq
        timestamp_ms, flags = self._clock.corrected(source.node, stream, reading)
        if arrival.is_late:
            flags |= LATE
        self._note(stream, seq)
        return stream, seq, source.sensor, timestamp_ms, flags, source.shape, data

    def _note(self, stream: int, seq: int) -> None:
        """Remember a reading that is in the file."""
        newest = self._newest.get(stream)
        if newest is None:
            newest = self._newest[stream] = set()
        newest.add(seq)
        if seq > self._last.get(stream, -1):
            self._last[stream] = seq

    def _insert(self, rows: Sequence[_Row]) -> None:
        for start in range(0, len(rows), self._most_unmoved):
            part = rows[start : start + self._most_unmoved]
            if self._slots + len(part) > self._most_unmoved:
                self._move()
                for stream, seq, *_ in part:
                    self._newest.setdefault(stream, set()).add(seq)
            self._insert_part(part)

    def _insert_part(self, part: Sequence[_Row]) -> None:
        slot, arrival = self._slots, self._arrival + 1
        rows = [(slot + place, arrival + place, *row) for place, row in enumerate(part)]
        rest = len(rows) - len(rows) % _ROWS
        for start in range(0, rest, _ROWS):
            values = list(chain.from_iterable(rows[start : start + _ROWS]))
            self._db.execute(_INSERT_ROWS, values)
        self._db.executemany(_INSERT + _ROW, rows[rest:])
        self._slots += len(part)
        self._arrival += len(part)

    def _is_repeated(self, reading: Reading, source: Source | None) -> bool:
        """Whether a reading is in the file already."""
        if source is None and not self._names.has_stream(reading.node, reading.stream):
            return False
        stream = source.stream if source else self._names.stream(reading.node, reading.stream)
        if not self._is_stored(stream, reading.seq):
            return False
        # It may be the first whose clock was set.
        self._clock.corrected(self._names.node(reading.node), stream, reading)
        return True

    def _is_stored(self, stream: int, seq: int) -> bool:
        if seq > self._last_of(stream):
            return False
        if seq in self._newest.get(stream, ()):
            return True
        found = self._db.execute(
            "SELECT 1 FROM reading WHERE stream = ? AND seq = ?", (stream, seq)
        )
        return found.fetchone() is not None

    def _last_of(self, stream: int) -> int:
        """Return the highest number of a stream, -1 where it has none."""
        last = self._last.get(stream)
        if last is None:
            if len(self._last) >= _MOST_STREAMS:
                self._last.clear()
            (moved,) = self._db.execute(
                "SELECT coalesce(max(seq), -1) FROM reading WHERE stream = ?", (stream,)
            ).fetchone()
            last = self._last[stream] = max(moved, *self._newest.get(stream, ()), -1)
        return last

    def _move(self) -> None:
        """Move the readings in `newest` to `reading`, and note their spans."""
        self._db.execute(_MOVE_SPANS, (BUCKET_MS,))
        self._db.execute(
            "INSERT INTO reading SELECT stream, seq, sensor, timestamp_ms, flags, shape, data"
            " FROM unmoved ORDER BY stream, seq"
        )
        self._db.execute("UPDATE moved SET arrival = ?", (self._arrival,))
        self._newest.clear()
        self._slots = 0

    def _extend_span(self, sensor: int, timestamp_ms: int, stream: int, seq: int) -> None:
        self._db.execute(
            _EXTEND_SPAN,
            (sensor, bucket_of(timestamp_ms), stream, seq, seq),
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


def delete_unused(db: sqlite3.Connection) -> None:
    """Delete the names of streams and sensors of which nothing is left. Within a transaction."""
    db.execute(
        "DELETE FROM sensor WHERE NOT EXISTS (SELECT 1 FROM span WHERE span.sensor = sensor.id)"
        " AND NOT EXISTS (SELECT 1 FROM mean WHERE mean.sensor = sensor.id)"
        " AND id NOT IN (SELECT sensor FROM newest)"
    )
    for table in ("sensor_shape", "arrived"):
        db.execute(
            f"DELETE FROM {table} WHERE sensor NOT IN (SELECT id FROM sensor)"  # noqa: S608 - constants
        )
    unused = db.execute(
        "SELECT id FROM stream WHERE id NOT IN (SELECT stream FROM newest)"
        " AND id NOT IN (SELECT stream FROM unset)"
        " AND NOT EXISTS (SELECT 1 FROM reading WHERE reading.stream = stream.id)"
    ).fetchall()
    if unused:
        spanned = set(db.execute("SELECT DISTINCT stream FROM span").fetchall())
        db.executemany("DELETE FROM stream WHERE id = ?", set(unused) - spanned)
