"""Coverage of a node: for each expected sample, whether it is stored, and if not, why.

`GET /api/coverage?node=pi4&from=1795286721000&to=1795373121000` answers a `Coverage` as JSON:

    {"node": "pi4", "from_ms": 1795286721000, "to_ms": 1795373121000,
     "sensors": [{"sensor_id": "pi4:dht22-gpio4", "interval_ms": 2000,
                  "counts": {"there": 43000, "late": 170, "off": 30},
                  "spans": [[1795286721000, 1795300000000, "there", 6639],
                            [1795300000000, 1795300340000, "late", 170],
                            [1795300340000, 1795300400000, "off", 30], ...]}]}

The `spans` of a sensor follow one another without gap or overlap from `from_ms` to `to_ms`, in Unix
milliseconds. The last number of a span counts its samples: the stored ones, or for the kinds that
mean a gap, the missing ones. A span in which none was expected (before the first reading ever, or
after now) has the kind `none` and the count 0. Pure: it works on a `NodeHistory`.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import msgspec

# A sample that is not there yet may still be on its way, or in the next commit.
_GRACE_MS = 10_000
# Fraction of an interval: samples may be that much further apart without a gap between them.
_SLACK = 0.6

CoverageKind = Literal[
    # Stored as it was taken.
    "there",
    # Stored, but it came in a backlog: the link or the hub was down when it was taken.
    "late",
    # Not stored yet: the node has been silent since, so it may still have it in its outbox.
    "waiting",
    # The node was off.
    "off",
    # The node was on, and the sensor gave no reading.
    "fault",
    # The node was on, and the plugin was loading, failed or disabled.
    "plugin",
    # It was taken, and dropped by a full outbox.
    "dropped",
    "none",
]
CoverageSpan = tuple[int, int, CoverageKind, int]


class SensorCoverage(msgspec.Struct, frozen=True):
    """Coverage of one sensor; `interval_ms` is the time between two expected samples."""

    sensor_id: str
    interval_ms: int
    counts: dict[CoverageKind, int]
    spans: list[CoverageSpan]


class Coverage(msgspec.Struct, frozen=True):
    """The answer to `GET /api/coverage`."""

    node: str
    from_ms: int
    to_ms: int
    sensors: list[SensorCoverage]


class SampleRun(msgspec.Struct, frozen=True):
    """A time without a gap, with `count` samples."""

    from_ms: int
    to_ms: int
    is_late: bool
    count: int


class SensorSamples(msgspec.Struct, frozen=True):
    """Stored samples of one sensor in order of time; none was expected before `began_ms`."""

    name: str
    plugin: str
    interval_ms: int
    began_ms: int
    runs: list[SampleRun]


# Timestamp, stream and sequence number of a reading.
SamplePoint = tuple[int, int, int]


class NodeHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored about a node in a range of time; the lists are in order of time.

    `plugins` are changes of state: (time, plugin, state from then on).
    """

    from_ms: int
    to_ms: int
    now_ms: int
    sensors: list[SensorSamples]
    points: list[SamplePoint]
    dropped_ms: list[int]
    plugins: list[tuple[int, str, str]]


def coverage_by_sensor(node: str, history: NodeHistory) -> list[SensorCoverage]:
    """Return the coverage of each sensor of a node."""
    alive = _merged_times(run for sensor in history.sensors for run in sensor.runs)
    return [_cover_sensor(node, sensor, alive, history) for sensor in history.sensors]


def _cover_sensor(
    node: str, sensor: SensorSamples, alive: list[tuple[int, int]], history: NodeHistory
) -> SensorCoverage:
    spans: list[CoverageSpan] = []
    at_ms = min(max(history.from_ms, sensor.began_ms), history.to_ms)
    if at_ms > history.from_ms:
        spans.append((history.from_ms, at_ms, "none", 0))
    slack_ms = round(sensor.interval_ms * _SLACK)
    for run in sensor.runs:
        start_ms = max(run.from_ms, at_ms)
        if run.from_ms - at_ms > slack_ms:
            spans += _missing(at_ms, start_ms, sensor, alive, history)
        elif start_ms > at_ms:
            start_ms = at_ms
        end_ms = max(min(run.to_ms, history.to_ms), start_ms)
        kind: CoverageKind = "late" if run.is_late else "there"
        spans.append((start_ms, end_ms, kind, run.count))
        at_ms = end_ms
    expected_ms = min(history.to_ms, history.now_ms - _GRACE_MS - sensor.interval_ms)
    if expected_ms - at_ms > slack_ms:
        spans += _missing(at_ms, expected_ms, sensor, alive, history)
        at_ms = expected_ms
    if at_ms < history.to_ms:
        spans.append((at_ms, history.to_ms, "none", 0))
    joined = list(_joined(spans))
    counts: Counter[CoverageKind] = Counter()
    for _, _, kind, count in joined:
        counts[kind] += count
    del counts["none"]
    return SensorCoverage(f"{node}:{sensor.name}", sensor.interval_ms, dict(counts), joined)


def _missing(
    from_ms: int,
    to_ms: int,
    sensor: SensorSamples,
    alive: list[tuple[int, int]],
    history: NodeHistory,
) -> list[CoverageSpan]:
    """Return spans with the reasons for a gap: the node was silent, or the sensor alone."""
    spans: list[CoverageSpan] = []
    at_ms = from_ms
    for start_ms, end_ms in alive[max(0, bisect_left(alive, (from_ms, 0)) - 1) :]:
        if start_ms >= to_ms:
            break
        if end_ms <= at_ms:
            continue
        # One missed poll is not an outage of the node.
        if start_ms - at_ms > 2 * sensor.interval_ms:
            spans.append((at_ms, start_ms, _node_gap_kind(at_ms, start_ms, history), 0))
            at_ms = start_ms
        until_ms = min(end_ms, to_ms)
        spans += _sensor_gap_spans(at_ms, until_ms, sensor, history)
        at_ms = until_ms
    if to_ms > at_ms:
        spans.append((at_ms, to_ms, _node_gap_kind(at_ms, to_ms, history), 0))
    return _counted(spans, max(1, round((to_ms - from_ms) / sensor.interval_ms)))


def _node_gap_kind(from_ms: int, to_ms: int, history: NodeHistory) -> CoverageKind:
    """Return why a whole node is missing, from the sequence numbers before and after the gap."""
    before = bisect_right(history.points, (from_ms, 2**62, 0)) - 1
    after = bisect_left(history.points, (to_ms, 0, 0))
    if after >= len(history.points):
        return "waiting" if history.to_ms >= history.now_ms - _GRACE_MS else "off"
    if before < 0:
        return "off"
    (_, stream, seq), (_, next_stream, next_seq) = history.points[before], history.points[after]
    if stream != next_stream or next_seq <= seq + 1:
        return "off"
    # The samples were taken, since sequence numbers are missing.
    return "dropped" if any(at_ms >= from_ms for at_ms in history.dropped_ms) else "waiting"


def _sensor_gap_spans(
    from_ms: int, to_ms: int, sensor: SensorSamples, history: NodeHistory
) -> Iterator[CoverageSpan]:
    """Yield why one sensor has no samples while its node was on: its plugin, or a fault."""
    state = "running"
    at_ms = from_ms
    for changed_ms, plugin, new_state in history.plugins:
        if plugin != sensor.plugin or changed_ms >= to_ms:
            continue
        if changed_ms > at_ms:
            yield at_ms, changed_ms, _kind_for_plugin_state(state), 0
            at_ms = changed_ms
        state = new_state
    if to_ms > at_ms:
        yield at_ms, to_ms, _kind_for_plugin_state(state), 0


def _kind_for_plugin_state(plugin_state: str) -> CoverageKind:
    return "fault" if plugin_state.startswith("running") else "plugin"


def _counted(spans: list[CoverageSpan], count: int) -> list[CoverageSpan]:
    """Return the spans with `count` samples divided in proportion to their length."""
    if not spans:
        return []
    begin_ms, end_ms = spans[0][0], spans[-1][1]
    counted: list[CoverageSpan] = []
    done = 0
    for from_ms, to_ms, kind, _ in spans:
        upto = round(count * (to_ms - begin_ms) / (end_ms - begin_ms))
        counted.append((from_ms, to_ms, kind, upto - done))
        done = upto
    return counted


def _merged_times(runs: Iterator[SampleRun]) -> list[tuple[int, int]]:
    """Return the times, (from, to), in which any sensor has samples."""
    merged: list[tuple[int, int]] = []
    for from_ms, to_ms in sorted((run.from_ms, run.to_ms) for run in runs):
        if merged and from_ms <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], to_ms))
        else:
            merged.append((from_ms, to_ms))
    return merged


def _joined(spans: list[CoverageSpan]) -> Iterator[CoverageSpan]:
    """Yield the spans, adjacent ones of one kind merged."""
    last: CoverageSpan | None = None
    for span in spans:
        if last is not None and last[2] == span[2]:
            last = (last[0], span[1], last[2], last[3] + span[3])
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last
