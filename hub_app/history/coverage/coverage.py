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
after now) has the kind `none` and the count 0.

The reason for each missing sample is the first that holds: the hub was restored from a backup that
is older; the node was off, or has been silent since; its plugin was disabled, loading or failed;
the sample was taken, as the sequence numbers tell, and refused, dropped or is still on its way;
else the sensor gave none. Readings of other sensors decide nothing. Pure: it works on a
`NodeHistory`.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from math import ceil
from typing import Literal

import msgspec

from hub_app.history.coverage.node_life import END_MS, PresenceChange, Times, node_times

# A sample that is not there yet may still be on its way, or in the next commit.
_GRACE_MS = 10_000
# Fraction of an interval: samples may be that much further apart without a gap between them.
_SLACK = 0.6
# Compiling a component takes a slow machine a minute or two.
_LONGEST_LOADING_MS = 300_000
# The outbox of a node keeps readings for a week: after that, none is still to come.
_OUTBOX_MS = 7 * 86_400_000

CoverageKind = Literal[
    # Stored as it was taken.
    "there",
    # Stored, but it came in a backlog: the link or the hub was down when it was taken.
    "late",
    # Not stored yet: the node has been silent since, or has it still in its outbox.
    "waiting",
    # The node was off.
    "off",
    # The node was on, and the plugin was disabled by a command.
    "disabled",
    # The node was on, and the plugin was being loaded: at the start, after a reload or an enable.
    "loading",
    # The node was on, and the plugin had failed.
    "failed",
    # The node was on and the plugin ran, and the sensor gave no reading.
    "fault",
    # It was taken, and dropped by a full outbox.
    "dropped",
    # It was taken, and refused by the hub.
    "refused",
    # It was stored, and lost when the hub was restored from an older backup.
    "restored",
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


class StoredSeqs(msgspec.Struct, frozen=True):
    """Sequence numbers of a stream, without a gap in those of one sensor, and their times."""

    from_ms: int
    to_ms: int
    stream: int
    first: int
    last: int


class NodeHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored about a node in a range of time; the lists are in order of time.

    `stored` may reach beyond the range. `plugins` are changes of state: (time, plugin, state from
    then on).
    """

    from_ms: int
    to_ms: int
    now_ms: int
    sensors: list[SensorSamples]
    stored: list[StoredSeqs]
    presence: list[PresenceChange]
    hub_stops_ms: list[int]
    dropped_ms: list[int]
    refused_ms: list[int]
    plugins: list[tuple[int, str, str]]
    # From a backup to the restore of it: what was stored meanwhile is lost.
    restores: list[Times] = []


class _Reasons:
    """Why a sample of a node is missing, at any time."""

    def __init__(self, history: NodeHistory) -> None:
        self._history = history
        streams: dict[int, list[StoredSeqs]] = defaultdict(list)
        for seqs in history.stored:
            streams[seqs.stream].append(seqs)
        lives = [
            (min(seqs.from_ms for seqs in stream), max(seqs.to_ms for seqs in stream))
            for stream in streams.values()
        ]
        self._times = node_times(history.presence, history.hub_stops_ms, lives)
        self._begins_ms = [time.from_ms for time in self._times]
        self._unstored = sorted(
            times for stream in streams.values() for times in _unstored_times(stream)
        )
        self._plugin_states: dict[str, list[tuple[int, str]]] = {}
        self._borders: dict[str, list[int]] = {}

    def between(self, from_ms: int, to_ms: int, plugin: str) -> Iterator[tuple[int, CoverageKind]]:
        """Yield (time, kind from then on) for a gap."""
        yield from_ms, self._at(from_ms, plugin)
        borders = self._borders_of(plugin)
        for at_ms in borders[bisect_right(borders, from_ms) : bisect_left(borders, to_ms)]:
            yield at_ms, self._at(at_ms, plugin)

    def _at(self, at_ms: int, plugin: str) -> CoverageKind:
        if any(from_ms - _GRACE_MS <= at_ms < to_ms for from_ms, to_ms in self._history.restores):
            return "restored"
        node = self._times[max(0, bisect_right(self._begins_ms, at_ms) - 1)].state
        if node == "off" or (node == "silent" and at_ms < self._history.now_ms - _OUTBOX_MS):
            return "off"
        if node == "silent":
            return "waiting"
        states = self._states_of(plugin)
        index = bisect_right(states, at_ms, key=lambda state: state[0]) - 1
        kind = _KIND_OF_PLUGIN_STATE.get(states[index][1]) if index >= 0 else None
        return kind or self._unstored_kind(at_ms) or "fault"

    def _unstored_kind(self, at_ms: int) -> CoverageKind | None:
        """Return where the sample is that was taken at a time and is not stored."""
        index = bisect_right(self._unstored, (at_ms, END_MS)) - 1
        if index < 0 or at_ms >= self._unstored[index][1]:
            return None
        from_ms, to_ms = self._unstored[index]
        if any(from_ms <= at < to_ms + _GRACE_MS for at in self._history.refused_ms):
            return "refused"
        if any(at >= from_ms for at in self._history.dropped_ms):
            return "dropped"
        return "waiting"

    def _states_of(self, plugin: str) -> list[tuple[int, str]]:
        """Return the changes of a plugin's state; it is loading from each start of the node."""
        states = self._plugin_states.get(plugin)
        if states is None:
            states = [(at, state) for at, name, state in self._history.plugins if name == plugin]
            if states:
                starts_ms = [time.from_ms for time in self._times if time.is_start]
                states += [(at, "loading") for at in starts_ms if _tells_soon(states, at)]
                # What the node says of its start counts more.
                states.sort(key=lambda state: (state[0], state[1] != "loading"))
            self._plugin_states[plugin] = states
        return states

    def _borders_of(self, plugin: str) -> list[int]:
        borders = self._borders.get(plugin)
        if borders is None:
            times = {at_ms for at_ms, _ in self._states_of(plugin)}
            times.update(self._begins_ms, *self._unstored)
            for from_ms, to_ms in self._history.restores:
                times.update((from_ms - _GRACE_MS, to_ms))
            borders = self._borders[plugin] = sorted(times)
        return borders


def _tells_soon(states: list[tuple[int, str]], start_ms: int) -> bool:
    """Whether a plugin's state is told after a start; of a later one, the begin is not known."""
    following = bisect_left(states, (start_ms, ""))
    return following < len(states) and states[following][0] - start_ms < _LONGEST_LOADING_MS


_KIND_OF_PLUGIN_STATE: dict[str, CoverageKind] = {
    "disabled": "disabled",
    "loading": "loading",
    "failed": "failed",
}


def _unstored_times(stream: list[StoredSeqs]) -> Iterator[Times]:
    """Yield the times in which a stream has sequence numbers that are not stored."""
    known: StoredSeqs | None = None
    for seqs in sorted(stream, key=lambda seqs: seqs.first):
        if known is not None and seqs.first > known.last + 1 and seqs.from_ms > known.to_ms:
            yield known.to_ms + 1, seqs.from_ms
        if known is None or seqs.last > known.last:
            known = seqs


def coverage_by_sensor(node: str, history: NodeHistory) -> list[SensorCoverage]:
    """Return the coverage of each sensor of a node."""
    reasons = _Reasons(history)
    return [_cover_sensor(node, sensor, reasons, history) for sensor in history.sensors]


def _cover_sensor(
    node: str, sensor: SensorSamples, reasons: _Reasons, history: NodeHistory
) -> SensorCoverage:
    spans: list[CoverageSpan] = []
    at_ms = min(max(history.from_ms, sensor.began_ms), history.to_ms)
    if at_ms > history.from_ms:
        spans.append((history.from_ms, at_ms, "none", 0))
    slack_ms = round(sensor.interval_ms * _SLACK)
    for run in sensor.runs:
        start_ms = max(run.from_ms, at_ms)
        if run.from_ms - at_ms > slack_ms:
            spans += _missing(at_ms, start_ms, sensor, reasons)
        elif start_ms > at_ms:
            start_ms = at_ms
        end_ms = max(min(run.to_ms, history.to_ms), start_ms)
        kind: CoverageKind = "late" if run.is_late else "there"
        spans.append((start_ms, end_ms, kind, run.count))
        at_ms = end_ms
    expected_ms = min(history.to_ms, history.now_ms - _GRACE_MS - sensor.interval_ms)
    if expected_ms - at_ms > slack_ms:
        spans += _missing(at_ms, expected_ms, sensor, reasons)
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
    from_ms: int, to_ms: int, sensor: SensorSamples, reasons: _Reasons
) -> Iterator[CoverageSpan]:
    """Yield spans of missing samples, each with its reason at the time when it was due."""
    count = max(1, round((to_ms - from_ms) / sensor.interval_ms))
    step_ms = (to_ms - from_ms) / count
    pieces = list(reasons.between(from_ms, to_ms, sensor.plugin))
    ends_ms = [at_ms for at_ms, _ in pieces[1:]]
    first = 0
    for (_, kind), end_ms in zip(pieces, [*ends_ms, to_ms], strict=True):
        last = count if end_ms == to_ms else min(count, ceil((end_ms - from_ms) / step_ms))
        if last > first:
            begin_ms = from_ms + round(first * step_ms)
            yield begin_ms, from_ms + round(last * step_ms), kind, last - first
            first = last


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
