"""Acknowledgement of stored readings: the `stored` messages that nodes wait for."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from bus.contract.bounds import MAX_RANGES, Range
from bus.contract.messages import Stored
from bus.contract.topics import Topic, TopicKind
from hub_app.history.decode import ReadingKey

# Of one node, while the bus takes no messages; the node sends the rest again.
_MAX_PENDING = 10_000

# Returns whether the bus took the message.
Publish = Callable[[Topic, Stored], bool]


class StoredReading(msgspec.Struct, frozen=True):
    """A reading that its node may delete: it is stored, or `is_refused` for good."""

    node: str
    key: ReadingKey
    is_refused: bool = False


class _Stream(msgspec.Struct):
    """Sequence numbers of one stream to tell its node."""

    stored: set[int] = msgspec.field(default_factory=set)
    refused: set[int] = msgspec.field(default_factory=set)

    def __len__(self) -> int:
        return len(self.stored) + len(self.refused)


class Acknowledger:
    """Publishes the numbers of stored readings as ranges; keeps those that the bus did not take."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        # Node -> stream.
        self._pending: dict[str, dict[str, _Stream]] = {}

    def acknowledge(self, readings: Iterable[StoredReading]) -> None:
        """Publish what is new and what the bus has not taken before."""
        for reading in readings:
            stream = self._stream(reading.node, reading.key.stream)
            (stream.refused if reading.is_refused else stream.stored).add(reading.key.seq)
        pending, self._pending = self._pending, {}
        for node, streams in pending.items():
            for message in _messages(streams):
                if not self._publish(Topic(node, TopicKind.STORED), message):
                    self._keep(node, message)

    def _keep(self, node: str, message: Stored) -> None:
        if sum(map(len, self._pending.get(node, {}).values())) > _MAX_PENDING:
            return
        stream = self._stream(node, message.stream)
        stream.stored.update(_numbers(message.ranges))
        stream.refused.update(_numbers(message.refused))

    def _stream(self, node: str, name: str) -> _Stream:
        return self._pending.setdefault(node, {}).setdefault(name, _Stream())


def _numbers(ranges: Iterable[Range]) -> Iterator[int]:
    for first, last in ranges:
        yield from range(first, last + 1)


def _messages(streams: dict[str, _Stream]) -> Iterator[Stored]:
    for name, stream in streams.items():
        stored, refused = ranges_of(stream.stored), ranges_of(stream.refused)
        for start in range(0, max(len(stored), len(refused)), MAX_RANGES):
            part = slice(start, start + MAX_RANGES)
            yield Stored(name, stored[part], refused[part])


def ranges_of(seqs: Iterable[int]) -> list[Range]:
    """Return ascending inclusive ranges that hold exactly `seqs`."""
    ranges: list[Range] = []
    for seq in sorted(seqs):
        if ranges and seq == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], seq)
        elif not ranges or seq > ranges[-1][1]:
            ranges.append((seq, seq))
    return ranges
