"""Query for the coverage of a node: reads what `hub_app.history.coverage.coverage` works on."""

import sqlite3
from collections.abc import Iterable
from itertools import pairwise

from bus.errors import BadDataError
from hub_app.history.coverage.coverage import (
    Coverage,
    NodeHistory,
    SampleRun,
    SensorSamples,
    StoredSeqs,
    coverage_by_sensor,
)
from hub_app.history.coverage.node_life import PresenceChange
from hub_app.history.events import DROPPED, HUB, PLUGIN, PRESENCE, REFUSED, RESTORED
from hub_app.history.schema import BUCKET_MS, LATE, bucket_of

LONGEST_COVERAGE_MS = 7 * 86_400_000
# A sensor without a sample for so long before the range counts as removed.
REMOVED_AFTER_MS = 7 * 86_400_000
_DEFAULT_INTERVAL_MS = 2000
# The interval of a sensor is the median of this many gaps.
GAPS = 200

# From, to; and of a span in the history: bucket, stream, first and last seq.
_Times = tuple[int, int]
_Span = tuple[int, int, int, int]
# Time, subject and detail of an event.
EventText = tuple[int, str, str]


class UnknownNodeError(BadDataError):
    """A node that is not in the history."""


def coverage_of(
    db: sqlite3.Connection, node: str, from_ms: int, to_ms: int, now_ms: int
) -> Coverage:
    """Return the coverage of a node. Raises UnknownNodeError."""
    db.execute("BEGIN")
    try:
        found = db.execute("SELECT id FROM node WHERE name = ?", (node,)).fetchone()
        if found is None:
            raise UnknownNodeError(f"node: found {node[:70]!r}, which has no history")
        history = _node_history(db, found[0], from_ms, to_ms, now_ms)
    finally:
        db.execute("COMMIT")
    return Coverage(node, from_ms, to_ms, coverage_by_sensor(node, history))


def _node_history(
    db: sqlite3.Connection, node: int, from_ms: int, to_ms: int, now_ms: int
) -> NodeHistory:
    stored: list[StoredSeqs] = []
    sensors = [
        _samples(db, found, (from_ms, to_ms), stored)
        for found in db.execute(
            "SELECT id, name, plugin FROM sensor WHERE node = ? ORDER BY name", (node,)
        ).fetchall()
        if _is_in_use(db, found[0], from_ms, to_ms)
    ]
    return node_history(db, node, (from_ms, to_ms), now_ms, (sensors, stored))


def node_history(
    db: sqlite3.Connection,
    node: int,
    times: _Times,
    now_ms: int,
    known: tuple[list[SensorSamples], list[StoredSeqs]],
) -> NodeHistory:
    """Return a node's history: what is `known` of its samples, and the events that explain gaps."""
    from_ms, to_ms = times
    sensors, stored = known
    return NodeHistory(
        from_ms=from_ms,
        to_ms=to_ms,
        now_ms=now_ms,
        sensors=sensors,
        stored=stored,
        presence=_presence(db, node, from_ms),
        hub_stops_ms=_hub_stops(db, from_ms, stored),
        dropped_ms=[at_ms for at_ms, _, _ in _events(db, node, DROPPED)],
        refused_ms=[at_ms for at_ms, _, _ in _events(db, node, REFUSED)],
        plugins=plugin_changes(_events(db, node, PLUGIN)),
        restores=_restores(db, from_ms),
    )


def _events(db: sqlite3.Connection, node: int, kind: str, from_ms: int = 0) -> list[EventText]:
    return db.execute(
        "SELECT at_ms, subject, detail FROM event WHERE node = ? AND kind = ? AND at_ms >= ?"
        " ORDER BY at_ms, id",
        (node, kind, from_ms),
    ).fetchall()


def _presence(db: sqlite3.Connection, node: int, from_ms: int) -> list[PresenceChange]:
    """Return the changes of presence since `from_ms`, after the last one before."""
    (begin_ms,) = db.execute(
        "SELECT coalesce(max(at_ms), 0) FROM event WHERE node = ? AND kind = ? AND at_ms <= ?",
        (node, PRESENCE, from_ms),
    ).fetchone()
    return presence_changes(_events(db, node, PRESENCE, begin_ms))


def presence_changes(events: Iterable[EventText]) -> list[PresenceChange]:
    """Return the changes that events of presence tell, in order of time."""
    changes: list[PresenceChange] = []
    for at_ms, run, presence in events:
        boot_id, _, since = run.partition(" ")
        since_ms = int(since) if since.isdecimal() else at_ms
        if presence == "lost" and changes and changes[-1].at_ms == at_ms:
            # Only a retained status was heard, at the start of the hub.
            changes.pop()
        else:
            changes.append(PresenceChange(at_ms, presence == "online", boot_id, since_ms))
    return changes


def plugin_changes(events: Iterable[EventText]) -> list[tuple[int, str, str]]:
    """Return time, plugin and state of each change that events of plugins tell."""
    return [(at_ms, plugin, detail.partition(":")[0]) for at_ms, plugin, detail in events]


def _hub_stops(db: sqlite3.Connection, from_ms: int, stored: list[StoredSeqs]) -> list[int]:
    events: list[EventText] = []
    for (node,) in db.execute("SELECT id FROM node").fetchall():
        events += _events(db, node, HUB, from_ms)
    return hub_stops(events, stored)


def hub_stops(events: Iterable[EventText], stored: list[StoredSeqs]) -> list[int]:
    """Return the times from which the hub heard nothing; of a hub that was killed, the latest.

    It was killed after the last reading before its next start.
    """
    stops, is_stopped = [], True
    for at_ms, _, detail in sorted(events):
        if detail == "stopped":
            stops.append(at_ms)
        elif not is_stopped:
            stops.append(max((s.to_ms for s in stored if s.to_ms <= at_ms), default=at_ms))
        is_stopped = detail == "stopped"
    return stops


def _restores(db: sqlite3.Connection, from_ms: int) -> list[tuple[int, int]]:
    """Return the times from a backup to its restore that end after `from_ms`."""
    found = db.execute(
        "SELECT detail, at_ms FROM node JOIN event ON event.node = node.id"
        " WHERE kind = ? AND at_ms >= ?",
        (RESTORED, from_ms),
    ).fetchall()
    return [(int(backup), at_ms) for backup, at_ms in found if backup.isdecimal()]


def _is_in_use(db: sqlite3.Connection, sensor: int, from_ms: int, to_ms: int) -> bool:
    spanned = db.execute(
        "SELECT 1 FROM span WHERE sensor = ? AND bucket_ms BETWEEN ? AND ? LIMIT 1",
        (sensor, from_ms - REMOVED_AFTER_MS, to_ms),
    ).fetchone()
    newest = "SELECT 1 FROM unmoved WHERE sensor = ? AND timestamp_ms < ? LIMIT 1"
    return bool(spanned or db.execute(newest, (sensor, to_ms)).fetchone())


def _samples(
    db: sqlite3.Connection, found: tuple[int, str, str], times: _Times, stored: list[StoredSeqs]
) -> SensorSamples:
    """Return the samples of a sensor; their keys, and the next ones around, go to `stored`."""
    sensor, name, plugin = found
    from_ms, to_ms = times
    interval_ms = sample_interval_ms(db, sensor, from_ms, to_ms)
    complete, incomplete = _buckets(db, sensor, times, BUCKET_MS // interval_ms, stored)
    rows = _rows(db, sensor, incomplete, times)
    stored += [StoredSeqs(at_ms, at_ms, stream, seq, seq) for at_ms, _, stream, seq in rows]
    stored += _neighbours(db, sensor, from_ms, to_ms)
    runs = complete + [
        SampleRun(at_ms, at_ms + interval_ms, bool(flags & LATE), 1) for at_ms, flags, _, _ in rows
    ]
    runs.sort(key=lambda run: run.from_ms)
    (first,) = db.execute("SELECT min(bucket_ms) FROM span WHERE sensor = ?", (sensor,)).fetchone()
    began_ms = min(first if first is not None else to_ms, runs[0].from_ms if runs else to_ms)
    if first is not None and bucket_of(from_ms) <= first and runs:
        # Within its first bucket, the sensor began with its first sample.
        began_ms = runs[0].from_ms
    return SensorSamples(name, plugin, interval_ms, began_ms, runs)


def _neighbours(db: sqlite3.Connection, sensor: int, from_ms: int, to_ms: int) -> list[StoredSeqs]:
    """Return the last samples before a range and the first after it."""
    found = db.execute(
        "SELECT * FROM (SELECT bucket_ms, bucket_ms + ?, stream, first, last FROM span"
        " WHERE sensor = ? AND bucket_ms <= ? ORDER BY bucket_ms DESC LIMIT 1)"
        " UNION ALL SELECT * FROM (SELECT bucket_ms, bucket_ms + ?, stream, first, last FROM span"
        " WHERE sensor = ? AND bucket_ms >= ? ORDER BY bucket_ms LIMIT 1)"
        " UNION ALL SELECT * FROM (SELECT timestamp_ms, timestamp_ms, stream, seq, seq FROM unmoved"
        " WHERE sensor = ? AND timestamp_ms >= ? ORDER BY timestamp_ms LIMIT 1)",
        (
            *(BUCKET_MS - 1, sensor, from_ms - BUCKET_MS),
            *(BUCKET_MS - 1, sensor, to_ms),
            *(sensor, to_ms),
        ),
    )
    return [StoredSeqs(*row) for row in found.fetchall()]


def sample_interval_ms(db: sqlite3.Connection, sensor: int, from_ms: int, to_ms: int) -> int:
    """Return the median time between samples, from some of the range and just before."""
    found = db.execute(
        "SELECT timestamp_ms FROM span CROSS JOIN reading"
        " ON reading.stream = span.stream AND reading.seq BETWEEN span.first AND span.last"
        " WHERE span.sensor = ? AND bucket_ms BETWEEN ? AND ? AND reading.sensor = ?"
        " ORDER BY bucket_ms DESC LIMIT ?",
        (sensor, from_ms - REMOVED_AFTER_MS, to_ms, sensor, GAPS),
    ).fetchall()
    found += db.execute(
        "SELECT timestamp_ms FROM unmoved WHERE sensor = ? AND timestamp_ms < ? LIMIT ?",
        (sensor, to_ms, GAPS),
    ).fetchall()
    return median_interval_ms([at_ms for (at_ms,) in found])


def median_interval_ms(times_ms: list[int]) -> int:
    """Return the median time between samples."""
    gaps = sorted(b - a for a, b in pairwise(sorted(times_ms)) if b > a)
    return max(gaps[len(gaps) // 2], 1) if gaps else _DEFAULT_INTERVAL_MS


def _buckets(
    db: sqlite3.Connection, sensor: int, times: _Times, expected: int, stored: list[StoredSeqs]
) -> tuple[list[SampleRun], list[_Span]]:
    """Return buckets without a gap as runs, and the spans of those that must be read one by one."""
    from_ms, to_ms = times
    complete: list[SampleRun] = []
    incomplete: list[_Span] = []
    found = db.execute(
        "SELECT bucket_ms, stream, first, last, folded, count, late FROM span"
        " WHERE sensor = ? AND bucket_ms BETWEEN ? AND ? ORDER BY bucket_ms",
        (sensor, bucket_of(from_ms), to_ms - 1),
    )
    for bucket_ms, stream, first, last, folded, count, late in found:
        end_ms = bucket_ms + BUCKET_MS
        is_within = from_ms <= bucket_ms and end_ms <= to_ms
        is_alike = late in (0, count)
        if folded and is_within and is_alike and count >= max(expected, 1):
            complete.append(SampleRun(bucket_ms, end_ms, late > 0, count))
            stored.append(StoredSeqs(bucket_ms, end_ms - 1, stream, first, last))
        else:
            incomplete.append((bucket_ms, stream, first, last))
    return complete, incomplete


def _rows(
    db: sqlite3.Connection, sensor: int, spans: list[_Span], times: _Times
) -> list[tuple[int, int, int, int]]:
    """Return (timestamp_ms, flags, stream, seq) of single readings."""
    from_ms, to_ms = times
    rows: list[tuple[int, int, int, int]] = []
    for bucket_ms, stream, first, last in spans:
        rows += db.execute(
            "SELECT timestamp_ms, flags, stream, seq FROM reading WHERE stream = ?"
            " AND seq BETWEEN ? AND ? AND sensor = ? AND timestamp_ms BETWEEN ? AND ?",
            (
                *(stream, first, last, sensor),
                *(max(bucket_ms, from_ms), min(bucket_ms + BUCKET_MS, to_ms) - 1),
            ),
        ).fetchall()
    rows += db.execute(
        "SELECT timestamp_ms, flags, stream, seq FROM unmoved"
        " WHERE sensor = ? AND timestamp_ms BETWEEN ? AND ?",
        (sensor, from_ms, to_ms - 1),
    ).fetchall()
    return rows
