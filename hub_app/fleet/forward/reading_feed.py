"""Feed of readings: finds what the history has and the fleet's database has not.

What is stored there is known by ranges of numbers, so a reading that fills a gap after weeks is
found as well as the newest one, and after any outage of either side both are compared anew.
"""

import time
from collections.abc import Callable, Iterator, Mapping

import msgspec

from hub_app.fleet.forward.database import FleetDatabase, Forwarded
from hub_app.fleet.forward.history_source import HistorySource, Row, StreamKey
from hub_app.fleet.forward.ranges import LAST, Range, SeqRanges
from hub_app.fleet.forward.reading_rows import ReadingRows
from hub_app.history.schema import UNSET

# A stream without news is looked at again after this time, then after twice that, and so on.
_FIRST_S = 1.0
_LONGEST_S = 60.0
# Of a stream with more gaps, only the newest end is looked at each time.
_MOST_GAPS = 16
_REDATED_AT_ONCE = 2000
# Of one gap, so that counting takes no time.
_MOST_COUNTED = 10_000


class _Turn(msgspec.Struct):
    """When a stream is looked at again, and when all of its gaps are."""

    at_s: float = 0.0
    wait_s: float = _FIRST_S
    gaps_at_s: float = 0.0


class ReadingFeed:
    """Takes readings from `source` for `database`. Raises sqlite3.Error, FleetUnavailableError."""

    def __init__(
        self,
        source: HistorySource,
        database: FleetDatabase,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._database = database
        self._monotonic_s = monotonic_s
        self._rows = ReadingRows()
        self._turns: dict[StreamKey, _Turn] = {}
        self._streams: dict[int, StreamKey] = {}
        # Versions of the history whose streams, and whose newest readings, are known.
        self._streams_of = self._newest_of = -1
        # Every reading that arrived up to this one is stored, or in the table of older ones.
        self._seen = -1
        self._undated = database.undated()

    def take(self, most: int) -> list[Forwarded]:
        """Return readings that are not stored yet, the newest ones first, and at most `most`."""
        self._follow_streams()
        self._source.begin()
        try:
            found = self._unmoved(most)
            if len(found) < most:
                found += self._older(most - len(found))
        finally:
            self._source.end()
        return list(self._converted(found))

    def stored(self, rows: list[Forwarded]) -> None:
        """Note readings that are stored and are to get another time later."""
        for row in rows:
            if row.flags & UNSET:
                first, last = self._undated.get(row.key, (row.seq, row.seq))
                self._undated[row.key] = (min(first, row.seq), max(last, row.seq))

    def take_redated(self) -> list[Forwarded]:
        """Return readings that are stored with a wrong time and have the right one now."""
        numbers = {key: number for number, key in self._streams.items()}
        for key, (first, last) in list(self._undated.items()):
            number = numbers.get(key)
            if number is None:
                del self._undated[key]
                continue
            rows = self._source.readings(number, first, last, _REDATED_AT_ONCE)
            repaired = [row for row in rows if not row[3] & UNSET]
            left = [row[0] for row in rows if row[3] & UNSET]
            self._narrow(key, number, left[0] if left else rows[-1][0] + 1 if rows else LAST)
            if repaired:
                return list(self._converted([(key, row) for row in repaired]))
        return []

    def _follow_streams(self) -> None:
        version = self._source.version()
        if version == self._streams_of:
            return
        streams = self._source.streams()
        if streams != self._streams:
            self._database.learn_streams(streams.values(), self._source.nodes())
            self._source.forget_names()
            self._streams = streams
        self._streams_of = version

    def _unmoved(self, most: int) -> list[tuple[StreamKey, Row]]:
        version = self._source.version()
        if version == self._newest_of:
            return []
        moved = self._source.moved()
        if moved > self._seen:
            # Some have gone to the table of older ones unseen.
            self._seen = moved
            self._look_everywhere()
        found: list[tuple[StreamKey, Row]] = []
        unknown = None
        for arrival, stream, row in self._source.unmoved(self._seen):
            if len(found) == most:
                return found
            key = self._streams.get(stream)
            if key is None:
                # Its stream is newer than the look at the streams.
                unknown = arrival if unknown is None else unknown
            elif row[0] not in self._database.names.stored[key]:
                found.append((key, row))
            if unknown is None:
                self._seen = arrival
        self._newest_of = version if unknown is None else -1
        return found

    def _look_everywhere(self) -> None:
        for turn in self._turns.values():
            turn.at_s, turn.wait_s = 0.0, _FIRST_S

    def _older(self, most: int) -> list[tuple[StreamKey, Row]]:
        found: list[tuple[StreamKey, Row]] = []
        now_s = self._monotonic_s()
        for number, key in self._streams.items():
            turn = self._turns.setdefault(key, _Turn())
            if turn.at_s > now_s:
                continue
            before = len(found)
            for first, last in self._gaps(key, turn, now_s):
                rows = self._source.readings(number, first, last, most - len(found))
                found += [(key, row) for row in rows]
                if len(found) >= most:
                    return found
            turn.wait_s = _FIRST_S if len(found) > before else min(2 * turn.wait_s, _LONGEST_S)
            turn.at_s = now_s + turn.wait_s
        return found

    def _gaps(self, key: StreamKey, turn: _Turn, now_s: float) -> Iterator[Range]:
        stored = self._database.names.stored[key]
        if len(stored) > _MOST_GAPS and now_s < turn.gaps_at_s:
            yield stored.last + 1, LAST
            return
        # Readings are added to the set while the caller takes the next gap.
        yield from list(stored.gaps())
        turn.gaps_at_s = now_s + _LONGEST_S

    def _converted(self, found: list[tuple[StreamKey, Row]]) -> Iterator[Forwarded]:
        sensor_of, shape_of, values_of = self._source.sensor, self._source.shape, self._rows.values
        for key, (seq, sensor, at_ms, flags, shape, data) in found:
            name = sensor_of(sensor)
            if name is None:
                # It is being removed.
                self._database.names.stored[key].add(seq, seq)
                continue
            yield Forwarded(key, seq, name, at_ms, flags, values_of(shape_of(shape), data))

    def _narrow(self, key: StreamKey, number: int, first: int) -> None:
        _, last = self._undated[key]
        if first == LAST:
            # None is there, or they are too new for this table.
            extent = self._source.extent(number)
            if extent is not None and extent[1] >= last:
                del self._undated[key]
        elif first > last:
            del self._undated[key]
        else:
            self._undated[key] = (first, last)


def count_waiting(source: HistorySource, stored: Mapping[StreamKey, SeqRanges]) -> int:
    """Return how many readings of the history are not `stored`, or a few more."""
    source.begin()
    try:
        streams = source.streams()
        unmoved = source.unmoved()
        count = sum(
            _waiting_of(source, number, stored.get(key) or SeqRanges())
            for number, key in streams.items()
        )
    finally:
        source.end()
    for _, number, row in unmoved:
        key = streams.get(number)
        known = stored.get(key) if key is not None else None
        count += known is None or row[0] not in known
    return count


def _waiting_of(source: HistorySource, number: int, stored: SeqRanges) -> int:
    extent = source.extent(number)
    if extent is None:
        return 0
    *inner, tail = stored.gaps()
    # Numbers between those that are stored may never have been readings of this history.
    count = sum(source.count(number, *gap, _MOST_COUNTED) for gap in inner[-_MOST_GAPS:])
    return count + max(0, extent[1] - max(tail[0], extent[0]) + 1)
