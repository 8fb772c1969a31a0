"""What was measured against what is kept. Pure: events and rows in, a count out.

The simulated hardware writes every measurement to a file, with the time, before the plugin that
asked for it returns. The reading's own time is taken by the plugin in the same poll, before it
asks or when it has its answer. Polls of one plugin follow each other, so the times of measurements
divide the readings of a sensor exactly: between one and the next lies the reading that holds it.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

# A plugin returns so soon after its sensor answered, on a machine that is busy with other tests.
# What was measured later than that before its process was hit was perhaps not returned.
UNDECIDED_MS = 100

Sensor = tuple[str, str]
Key = tuple[str, str, int]


class Measured(msgspec.Struct, frozen=True):
    """One line of a node's record."""

    node: str
    device: str
    timestamp_ms: int
    # When its plugin had asked for it.
    begun_ms: int

    @property
    def sensor(self) -> Sensor:
        return self.node, self.device


class Row(msgspec.Struct, frozen=True):
    """One reading, in the history or in an outbox."""

    node: str
    sensor_id: str
    timestamp_ms: int
    stream: str
    seq: int

    @property
    def sensor(self) -> Sensor:
        return self.node, self.sensor_id

    @property
    def key(self) -> Key:
        return self.node, self.stream, self.seq


class Hit(msgspec.Struct, frozen=True):
    """When a node's process was killed or paused: not before, and not after."""

    node: str
    from_ms: int
    until_ms: int

    def leaves_open(self, measured: Measured) -> bool:
        """Whether it fell into the poll that measured, which then perhaps did not return it."""
        end_ms = measured.timestamp_ms + UNDECIDED_MS
        is_within = self.from_ms <= end_ms and measured.begun_ms <= self.until_ms
        return self.node == measured.node and is_within


class Sort(msgspec.Struct, frozen=True):
    """How a sensor's readings and measurements belong together.

    `stamped_first`: the reading's time is taken before it measures. `repeats`: a measurement is
    the answer for a while, so several readings hold it.
    """

    stamped_first: bool = False
    repeats: bool = False


class Count(msgspec.Struct):
    """What became of the measurements, and of the numbers that readings were given."""

    produced: list[Measured] = []
    stored: list[Row] = []
    missing: list[Measured] = []
    twice: list[Row] = []
    undecided: list[Measured] = []
    excused: list[Measured] = []
    unexplained: list[Row] = []
    # Numbers that no row has, between the first and the last of a stream.
    gaps: list[Key] = []

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, and nothing there that should not be."""
        return not (self.missing or self.twice or self.gaps or self.unexplained)


def count(
    measured: Iterable[Measured],
    rows: Sequence[Row],
    sorts: Mapping[Sensor, Sort],
    *,
    hits: Sequence[Hit] = (),
    damaged: Sequence[Row] = (),
    until_ms: float = math.inf,
) -> Count:
    """Hold `rows` against what was measured until `until_ms`.

    `damaged` are the rows that were in files when those were corrupted on purpose: they need not
    be in `rows`. `sorts` says which sensors the record has; of others only numbers are checked.
    """
    found = Count(stored=list(rows))
    kept, lost = _by_sensor(rows), _by_sensor(damaged)
    moments: dict[Sensor, list[Measured]] = defaultdict(list)
    for each in sorted(measured, key=lambda m: m.timestamp_ms):
        moments[each.sensor].append(each)
    for sensor, sort in sorts.items():
        times = [e.begun_ms if sort.stamped_first else e.timestamp_ms for e in moments[sensor]]
        held = _holders(times, kept[sensor], sort)
        found.unexplained.extend(held.pop(None, []))
        excused = _holders(times, lost[sensor], sort)
        for index, each in enumerate(moments[sensor]):
            if each.timestamp_ms > until_ms:
                break
            found.produced.append(each)
            inside = held.get(index, [])
            if not inside:
                _find_excuse(found, each, hits, is_damaged=index in excused)
            elif not sort.repeats:
                found.twice.extend(inside[1:])
    found.gaps = _gaps(rows, {row.key for row in damaged})
    found.twice.extend(_repeated(rows))
    return found


def _holders(times: list[int], rows: Iterable[Row], sort: Sort) -> dict[int | None, list[Row]]:
    """Return the rows by the index of their measurement; None: of no measurement."""
    found: dict[int | None, list[Row]] = defaultdict(list)
    for row in rows:
        if sort.stamped_first:
            index = bisect_left(times, row.timestamp_ms)
        else:
            index = bisect_right(times, row.timestamp_ms) - 1
        found[index if 0 <= index < len(times) else None].append(row)
    return found


def _find_excuse(
    found: Count, measured: Measured, hits: Sequence[Hit], *, is_damaged: bool
) -> None:
    if is_damaged:
        found.excused.append(measured)
    elif any(hit.leaves_open(measured) for hit in hits):
        found.undecided.append(measured)
    else:
        found.missing.append(measured)


def _by_sensor(rows: Iterable[Row]) -> dict[Sensor, list[Row]]:
    found: dict[Sensor, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.sensor].append(row)
    return found


def _repeated(rows: Iterable[Row]) -> list[Row]:
    """Return rows that are another one under another number: of one sensor, at one time."""
    times = Counter((row.sensor, row.timestamp_ms) for row in rows)
    several = {which for which, number in times.items() if number > 1}
    seen: set[tuple[Sensor, int]] = set()
    found = []
    for row in rows:
        which = (row.sensor, row.timestamp_ms)
        if which in several and which in seen:
            found.append(row)
        seen.add(which)
    return found


def _gaps(rows: Iterable[Row], excused: set[Key]) -> list[Key]:
    numbers: dict[tuple[str, str], set[int]] = defaultdict(set)
    for row in rows:
        numbers[row.node, row.stream].add(row.seq)
    return [
        key
        for (node, stream), seqs in numbers.items()
        for seq in sorted(set(range(max(seqs))) - seqs)
        if (key := (node, stream, seq)) not in excused
    ]
