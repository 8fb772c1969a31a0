"""Acknowledgement of stored readings: the `stored` messages that nodes wait for."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from bus.contract.messages import MAX_RANGES, Range, Stored
from bus.contract.topics import Topic, TopicKind
from hub_app.history.decode import ReadingKey

# Of one node, while the bus takes no messages; the node sends the rest again.
_MAX_PENDING = 10_000

# Returns whether the bus took the message.
Publish = Callable[[Topic, Stored], bool]


class StoredReading(msgspec.Struct, frozen=True):
    """A reading that its node may delete."""

    node: str
    key: ReadingKey


class Acknowledger:
    """Publishes the numbers of stored readings as ranges; keeps those that the bus did not take."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        # Node -> stream -> sequence numbers.
        self._pending: dict[str, dict[str, set[int]]] = {}

    def acknowledge(self, stored: Iterable[StoredReading]) -> None:
        """Publish what is new and what the bus has not taken before."""
        for reading in stored:
            self._add(reading.node, reading.key.stream, [reading.key.seq])
        pending, self._pending = self._pending, {}
        for node, streams in pending.items():
            for message in _messages(streams):
                if not self._publish(Topic(node, TopicKind.STORED), message):
                    self._keep(node, message)

    def _keep(self, node: str, message: Stored) -> None:
        if sum(len(seqs) for seqs in self._pending.get(node, {}).values()) > _MAX_PENDING:
            return
        for first, last in message.ranges:
            self._add(node, message.stream, range(first, last + 1))

    def _add(self, node: str, stream: str, seqs: Iterable[int]) -> None:
        self._pending.setdefault(node, {}).setdefault(stream, set()).update(seqs)


def _messages(streams: dict[str, set[int]]) -> Iterator[Stored]:
    for stream, seqs in streams.items():
        ranges = ranges_of(seqs)
        for start in range(0, len(ranges), MAX_RANGES):
            yield Stored(stream, ranges[start : start + MAX_RANGES])


def ranges_of(seqs: Iterable[int]) -> list[Range]:
    """Return ascending inclusive ranges that hold exactly `seqs`."""
    ranges: list[Range] = []
    for seq in sorted(seqs):
        if ranges and seq == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], seq)
        elif not ranges or seq > ranges[-1][1]:
            ranges.append((seq, seq))
    return ranges
