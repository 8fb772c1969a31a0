"""For every sample that was expected of a node: is it there, and if not, why not.

`GET /api/coverage?node=pi4&from=1795286721000&to=1795373121000` answers a `Coverage` as JSON:

    {"node": "pi4", "from_ms": 1795286721000, "to_ms": 1795373121000,
     "sensors": [{"sensor_id": "pi4:dht22-gpio4", "interval_ms": 2000,
                  "counts": {"there": 43000, "late": 170, "off": 30},
                  "spans": [[1795286721000, 1795300000000, "there", 6639],
                            [1795300000000, 1795300340000, "late", 170],
                            [1795300340000, 1795300400000, "off", 30], ...]}]}

`spans` of a sensor follow one another without gap or overlap from `from_ms` to `to_ms`, times are
Unix milliseconds, and the last number counts samples: those that are there or, of a kind that
stands for missing ones, those that are not. A span that was not expected to hold any (before the
first reading ever, or after now) is `none` with 0. Pure: what the history knows is handed in.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import msgspec

# A sample that is not there yet may still be on its way, or in the next commit.
_GRACE_MS = 10_000
# Of an interval: samples that are closer than this follow one another.
_SLACK = 0.6

CoverageKind = Literal[
    "there",
    # There, but it came through the backlog: the link or the hub was down when it was taken.
    "late",
    # Not there yet: the node has not been heard since, so it may still hold it.
    "waiting",
    # The node was off.
    "off",
    # The node was on, and the sensor gave no reading.
    "fault",
    # The node was on, and the plugin was loading, had failed or was disabled.
    "plugin",
    # It was taken, and given up by a full outbox.
    "dropped",
    "none",
]
CoverageSpan = tuple[int, int, CoverageKind, int]


class SensorCoverage(msgspec.Struct, frozen=True):
    """One sensor; `interval_ms` is the time between two expected samples."""

    sensor_id: str
    interval_ms: int
    counts: dict[CoverageKind, int]
    spans: list[CoverageSpan]


class Coverage(msgspec.Struct, frozen=True):
    """What `GET /api/coverage` answers."""

    node: str
    from_ms: int
    to_ms: int
    sensors: list[SensorCoverage]


class Piece(msgspec.Struct, frozen=True):
    """A time for which there are samples, `count` of them."""

    from_ms: int
    to_ms: int
    is_late: bool
    count: int


class SensorSamples(msgspec.Struct, frozen=True):
    """What there is of one sensor, in order of time; nothing was expected before `began_ms`."""

    name: str
    plugin: str
    interval_ms: int
    began_ms: int
    pieces: list[Piece]


# When a reading was taken, its stream and its number there.
Edge = tuple[int, int, int]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the history knows of a node; the lists are in order of time.

    `presence` and `plugins` are changes: (when, what it is from then on), of plugins with their
    name in between.
    """

    from_ms: int
    to_ms: int
    now_ms: int
    sensors: list[SensorSamples]
    edges: list[Edge]
    dropped_ms: list[int]
    presence: list[tuple[int, str]]
    plugins: list[tuple[int, str, str]]


def cover(node: str, known: Known) -> list[SensorCoverage]:
    """Return the coverage of each sensor of a node."""
    alive = _united(piece for sensor in known.sensors for piece in sensor.pieces)
    return [_cover_sensor(node, sensor, alive, known) for sensor in known.sensors]


def _cover_sensor(
    node: str, sensor: SensorSamples, alive: list[tuple[int, int]], known: Known
) -> SensorCoverage:
    spans: list[CoverageSpan] = []
    at_ms = min(max(known.from_ms, sensor.began_ms), known.to_ms)
    if at_ms > known.from_ms:
        spans.append((known.from_ms, at_ms, "none", 0))
    slack_ms = round(sensor.interval_ms * _SLACK)
    for piece in sensor.pieces:
        start_ms = max(piece.from_ms, at_ms)
        if piece.from_ms - at_ms > slack_ms:
            spans += _missing(at_ms, start_ms, sensor, alive, known)
        elif start_ms > at_ms:
            start_ms = at_ms
        end_ms = max(min(piece.to_ms, known.to_ms), start_ms)
        kind: CoverageKind = "late" if piece.is_late else "there"
        spans.append((start_ms, end_ms, kind, piece.count))
        at_ms = end_ms
    expected_ms = min(known.to_ms, known.now_ms - _GRACE_MS - sensor.interval_ms)
    if expected_ms - at_ms > slack_ms:
        spans += _missing(at_ms, expected_ms, sensor, alive, known)
        at_ms = expected_ms
    if at_ms < known.to_ms:
        spans.append((at_ms, known.to_ms, "none", 0))
    joined = list(_joined(spans))
    counts: Counter[CoverageKind] = Counter()
    for _, _, kind, count in joined:
        counts[kind] += count
    del counts["none"]
    return SensorCoverage(f"{node}:{sensor.name}", sensor.interval_ms, dict(counts), joined)


def _missing(
    from_ms: int, to_ms: int, sensor: SensorSamples, alive: list[tuple[int, int]], known: Known
) -> list[CoverageSpan]:
    """Return why samples are missing, span by span: the node was silent, or the sensor alone."""
    spans: list[CoverageSpan] = []
    at_ms = from_ms
    for start_ms, end_ms in alive[max(0, bisect_left(alive, (from_ms, 0)) - 1) :]:
        if start_ms >= to_ms:
            break
        if end_ms <= at_ms:
            continue
        # A beat of a node is no outage of it.
        if start_ms - at_ms > 2 * sensor.interval_ms:
            spans.append((at_ms, start_ms, _why_silent(at_ms, start_ms, known), 0))
            at_ms = start_ms
        until_ms = min(end_ms, to_ms)
        spans += _why_alone(at_ms, until_ms, sensor, known)
        at_ms = until_ms
    if to_ms > at_ms:
        spans.append((at_ms, to_ms, _why_silent(at_ms, to_ms, known), 0))
    return _counted(spans, max(1, round((to_ms - from_ms) / sensor.interval_ms)))


def _why_silent(from_ms: int, to_ms: int, known: Known) -> CoverageKind:
    """Return why there is nothing of a whole node: from the numbers of its readings around."""
    before = bisect_right(known.edges, (from_ms, 2**62, 0)) - 1
    after = bisect_left(known.edges, (to_ms, 0, 0))
    if after >= len(known.edges):
        return "waiting" if known.to_ms >= known.now_ms - _GRACE_MS else "off"
    if before < 0:
        return "off"
    (_, stream, seq), (_, next_stream, next_seq) = known.edges[before], known.edges[after]
    if stream != next_stream or next_seq <= seq + 1:
        return "off"
    # They were taken, as their numbers were given.
    return "dropped" if any(at_ms >= from_ms for at_ms in known.dropped_ms) else "waiting"


def _why_alone(
    from_ms: int, to_ms: int, sensor: SensorSamples, known: Known
) -> Iterator[CoverageSpan]:
    """Yield why a sensor gave nothing while its node was on: for its plugin's sake, or its own."""
    state = "running"
    at_ms = from_ms
    for changed_ms, plugin, said in known.plugins:
        if plugin != sensor.plugin or changed_ms >= to_ms:
            continue
        if changed_ms > at_ms:
            yield at_ms, changed_ms, _blame(state), 0
            at_ms = changed_ms
        state = said
    if to_ms > at_ms:
        yield at_ms, to_ms, _blame(state), 0


def _blame(plugin_state: str) -> CoverageKind:
    return "fault" if plugin_state.startswith("running") else "plugin"


def _counted(spans: list[CoverageSpan], count: int) -> list[CoverageSpan]:
    """Return the spans with `count` samples shared out by their length."""
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


def _united(pieces: Iterator[Piece]) -> list[tuple[int, int]]:
    """Return the times in which there is any piece."""
    united: list[tuple[int, int]] = []
    for from_ms, to_ms in sorted((piece.from_ms, piece.to_ms) for piece in pieces):
        if united and from_ms <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], to_ms))
        else:
            united.append((from_ms, to_ms))
    return united


def _joined(spans: list[CoverageSpan]) -> Iterator[CoverageSpan]:
    """Yield spans with neighbours of one kind made one."""
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
