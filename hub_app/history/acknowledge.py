"""Acknowledgement of stored readings: the `stored` messages that nodes wait for."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from bus.contract.bounds import MAX_RANGES, Range
from bus.contract.messages import Reading, Stored
from bus.contract.topics import Topic, TopicKind
from hub_app.history.decode import RefusedReading

# Of one node, while the bus takes no messages; the node sends the rest again.
_MAX_PENDING = 10_000
# Nodes whose topics are remembered.
_MAX_TOPICS = 10_000

Answer = tuple[Topic, Stored]
# Publishes answers in their order; returns how many the bus took.
Publish = Callable[[Sequence[Answer]], int]


class Stream(msgspec.Struct):
    """Sequence numbers of one stream to tell its node."""

    stored: list[int] = msgspec.field(default_factory=list)
    refused: list[int] = msgspec.field(default_factory=list)

    def __len__(self) -> int:
        return len(self.stored) + len(self.refused)


# By node, then by the name of the stream.
Answers = dict[str, dict[str, Stream]]


def answers_of(stored: Iterable[Reading], refused: Iterable[RefusedReading]) -> Answers:
    """Return what nodes may delete: readings that are stored, and those refused for good.

    A refused reading that cannot be named is left out.
    """
    answers: Answers = {}
    for reading in stored:
        stream_of(answers, reading.node, reading.stream).stored.append(reading.seq)
    for one in refused:
        if one.key is not None:
            stream_of(answers, one.node, one.key.stream).refused.append(one.key.seq)
    return answers


def stream_of(answers: Answers, node: str, name: str) -> Stream:
    """Return the numbers of a stream; make it where there are none yet."""
    streams = answers.get(node)
    if streams is None:
        streams = answers[node] = {}
    stream = streams.get(name)
    if stream is None:
        stream = streams[name] = Stream()
    return stream


class Acknowledger:
    """Publishes the numbers of stored readings as ranges; keeps those that the bus did not take.

    All answers of a commit are handed over at once: one message for each node and stream.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._pending: Answers = {}
        self._topics: dict[str, Topic] = {}

    def acknowledge(self, answers: Answers) -> None:
        """Publish what is new and what the bus has not taken before."""
        pending, self._pending = self._pending, {}
        if not pending:
            pending, answers = answers, {}
        for node, streams in answers.items():
            for name, found in streams.items():
                stream = stream_of(pending, node, name)
                stream.stored += found.stored
                stream.refused += found.refused
        if not pending:
            return
        messages = list(self._messages(pending))
        for topic, message in messages[self._publish(messages) :]:
            self._keep(topic.node, message)

    def _messages(self, answers: Answers) -> Iterator[Answer]:
        for node, streams in answers.items():
            topic = self._topic(node)
            for name, stream in streams.items():
                stored, refused = ranges_of(stream.stored), ranges_of(stream.refused)
                for start in range(0, max(len(stored), len(refused)), MAX_RANGES):
                    part = slice(start, start + MAX_RANGES)
                    yield topic, Stored(name, stored[part], refused[part])

    def _topic(self, node: str) -> Topic:
        topic = self._topics.get(node)
        if topic is None:
            if len(self._topics) >= _MAX_TOPICS:
                self._topics.clear()
            topic = self._topics[node] = Topic(node, TopicKind.STORED)
        return topic

    def _keep(self, node: str, message: Stored) -> None:
        if sum(map(len, self._pending.get(node, {}).values())) > _MAX_PENDING:
            return
        stream = stream_of(self._pending, node, message.stream)
        stream.stored += _numbers(message.ranges)
        stream.refused += _numbers(message.refused)


def _numbers(ranges: Iterable[Range]) -> Iterator[int]:
    for first, last in ranges:
        yield from range(first, last + 1)


def ranges_of(seqs: Iterable[int]) -> list[Range]:
    """Return ascending inclusive ranges that hold exactly `seqs`."""
    ranges: list[Range] = []
    first = last = -1
    for seq in sorted(seqs):
        if seq > last + 1 or first < 0:
            if first >= 0:
                ranges.append((first, last))
            first = seq
        last = seq
    if first >= 0:
        ranges.append((first, last))
    return ranges
