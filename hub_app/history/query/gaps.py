"""Gaps of a sensor in a range of any length, each with its reason.

A short range is answered from its coverage, sample by sample. A longer one looks at buckets of
5 minutes: a bucket with any reading is no gap. The reasons come from the same rules.
"""

import sqlite3
from itertools import pairwise

import msgspec

from hub_app.history.coverage.coverage import (
    CoverageKind,
    SampleRun,
    SensorCoverage,
    SensorSamples,
    StoredSeqs,
    coverage_by_sensor,
)
from hub_app.history.coverage.query import coverage_of, node_history, sample_interval_ms
from hub_app.history.query.lookup import sensor_id
from hub_app.history.schema import BUCKET_MS, bucket_of

# Beyond that, the coverage of single samples takes too long.
LONGEST_EXACT_MS = 86_400_000
# The longest ones are answered; shorter ones are hardly seen beside them.
MOST_GAPS = 500

_NO_GAP: frozenset[CoverageKind] = frozenset({"there", "late", "none"})


# From, to, reason.
Gap = tuple[int, int, CoverageKind]


class Gaps(msgspec.Struct, frozen=True):
    """Gaps in order of time, each [from_ms, to_ms, reason].

    `interval_ms` is the time between two expected samples, or of a bucket of them. `left_out`
    counts the shortest gaps, where there are too many.
    """

    interval_ms: int
    gaps: list[Gap]
    left_out: int = 0


def gaps_of(
    db: sqlite3.Connection, node: str, sensor: str, times: tuple[int, int], now_ms: int
) -> Gaps:
    """Return the gaps of a sensor between two times. Raises UnknownSensorError."""
    number = sensor_id(db, node, sensor)
    from_ms, to_ms = times
    if to_ms - from_ms <= LONGEST_EXACT_MS:
        found = coverage_of(db, node, from_ms, to_ms, now_ms).sensors
    else:
        db.execute("BEGIN")
        try:
            found = _by_buckets(db, (node, number, sensor), times, now_ms)
        finally:
            db.execute("COMMIT")
    for each in found:
        if each.sensor_id == f"{node}:{sensor}":
            return longest_gaps(each)
    # It is not in use any more, so nothing is expected of it.
    return Gaps(BUCKET_MS, [])


def longest_gaps(coverage: SensorCoverage) -> Gaps:
    """Return the gaps of a sensor's coverage, the longest ones where there are too many."""
    gaps = [span[:3] for span in coverage.spans if span[2] not in _NO_GAP]
    kept = sorted(gaps, key=lambda gap: gap[0] - gap[1])[:MOST_GAPS]
    return Gaps(coverage.interval_ms, sorted(kept), len(gaps) - len(kept))


def _by_buckets(
    db: sqlite3.Connection, key: tuple[str, int, str], times: tuple[int, int], now_ms: int
) -> list[SensorCoverage]:
    node, number, name = key
    from_ms, to_ms = times
    buckets = _buckets(db, number, from_ms, to_ms)
    if not buckets:
        return []
    every_ms = max(sample_interval_ms(db, number, from_ms, to_ms), median_gap_ms(buckets))
    began_ms = _first_bucket(db, number) or buckets[0]
    runs = [SampleRun(bucket_ms, bucket_ms + every_ms, False, 1) for bucket_ms in buckets]
    samples = SensorSamples(name, _plugin_of(db, number), every_ms, began_ms, runs)
    node_id = db.execute("SELECT node FROM sensor WHERE id = ?", (number,)).fetchone()[0]
    stored = _stored_seqs(db, node_id, from_ms, to_ms)
    history = node_history(db, node_id, times, now_ms, ([samples], stored))
    return coverage_by_sensor(node, history)


def _buckets(db: sqlite3.Connection, sensor: int, from_ms: int, to_ms: int) -> list[int]:
    """Return the buckets with any reading; those of expired readings have a mean."""
    times = (bucket_of(from_ms), to_ms - 1)
    (field,) = db.execute(
        "SELECT (SELECT field FROM mean WHERE sensor = ? LIMIT 1)", (sensor,)
    ).fetchone()
    found = db.execute(
        "SELECT bucket_ms FROM mean WHERE sensor = ? AND field = ? AND bucket_ms BETWEEN ? AND ?"
        " UNION SELECT bucket_ms FROM span WHERE sensor = ? AND bucket_ms BETWEEN ? AND ?"
        " UNION SELECT timestamp_ms - timestamp_ms % ? FROM unmoved"
        " WHERE sensor = ? AND timestamp_ms BETWEEN ? AND ? ORDER BY 1",
        (sensor, field, *times, sensor, *times, BUCKET_MS, sensor, *times),
    )
    return [bucket_ms for (bucket_ms,) in found]


def _first_bucket(db: sqlite3.Connection, sensor: int) -> int | None:
    """Return the first bucket that the sensor ever had a reading in and is still known."""
    found = db.execute(
        "SELECT (SELECT min(bucket_ms) FROM mean WHERE sensor = ?1 AND field ="
        " (SELECT field FROM mean WHERE sensor = ?1 LIMIT 1)),"
        " (SELECT min(bucket_ms) FROM span WHERE sensor = ?1)",
        (sensor,),
    ).fetchone()
    return min((bucket for bucket in found if bucket is not None), default=None)


def median_gap_ms(buckets: list[int]) -> int:
    """Return the median time between buckets with a reading."""
    gaps = sorted(after - before for before, after in pairwise(buckets))
    return gaps[len(gaps) // 2] if gaps else BUCKET_MS


def _plugin_of(db: sqlite3.Connection, sensor: int) -> str:
    (plugin,) = db.execute("SELECT plugin FROM sensor WHERE id = ?", (sensor,)).fetchone()
    return str(plugin)


def _stored_seqs(db: sqlite3.Connection, node: int, from_ms: int, to_ms: int) -> list[StoredSeqs]:
    """Return the sequence numbers of all sensors of a node; a bucket counts as complete."""
    # Of the last bucket before the range and the first after it, too.
    found = db.execute(
        "SELECT bucket_ms, bucket_ms + ?, stream, first, last FROM span"
        " WHERE sensor IN (SELECT id FROM sensor WHERE node = ?) AND bucket_ms BETWEEN ? AND ?"
        " UNION ALL SELECT timestamp_ms, timestamp_ms, stream, seq, seq FROM unmoved"
        " WHERE sensor IN (SELECT id FROM sensor WHERE node = ?)",
        (BUCKET_MS - 1, node, bucket_of(from_ms) - BUCKET_MS, to_ms + BUCKET_MS, node),
    )
    return [StoredSeqs(*row) for row in found.fetchall()]
