"""The last message of each topic that was published to be kept, in memory and bounded."""

import enum
from collections.abc import Iterable, Iterator
from typing import Self

import msgspec

from broker.embedded.topics.levels import Node, grow, prune
from bus.config.broker_table import BrokerConfig

_MS_PER_DAY = 86_400_000
_BYTES_PER_MB = 1024 * 1024


class Retained(msgspec.Struct, frozen=True):
    """A message that waits for whoever subscribes. `stored_ms`: Unix epoch."""

    topic: str
    payload: bytes
    qos: int
    stored_ms: int

    @property
    def size_bytes(self) -> int:
        return len(self.topic.encode()) + len(self.payload)


class Outcome(enum.Enum):
    """What came of a message that was to be retained."""

    STORED = enum.auto()
    DELETED = enum.auto()
    # It deletes what is not there.
    NOTHING = enum.auto()
    # There is no room. What the topic had before is gone too: better nothing than a stale value.
    REFUSED = enum.auto()


class RetainedMessages:
    """Retained messages by topic. One that finds no room is refused and counted.

    A full store takes no new topic rather than giving up an old one, so that no client can push
    out what the others retained. Room comes from deletion and from `expire`.
    """

    def __init__(self, *, messages: int, size_bytes: int, age_ms: float) -> None:
        self._most = messages
        self._most_bytes = size_bytes
        self._age_ms = age_ms
        self._root: Node[Retained] = Node()
        # The longest unchanged first; the value of each node is set.
        self._by_age: dict[str, Node[Retained]] = {}
        self._bytes = 0
        self.refused = 0
        self.expired = 0

    @classmethod
    def bounded_by(cls, settings: BrokerConfig) -> Self:
        return cls(
            messages=settings.retained_messages,
            size_bytes=settings.retained_mb * _BYTES_PER_MB,
            age_ms=settings.retained_days * _MS_PER_DAY,
        )

    def __len__(self) -> int:
        return len(self._by_age)

    @property
    def size_bytes(self) -> int:
        """Topics and payloads together."""
        return self._bytes

    def get(self, topic: str) -> Retained | None:
        node = self._by_age.get(topic)
        return None if node is None else node.value

    def set(self, topic: str, payload: bytes, qos: int, now_ms: int) -> Outcome:
        """Keep a message in place of the topic's last; an empty one deletes (MQTT-3.3.1-10)."""
        if not payload:
            return Outcome.DELETED if self._forget(topic) else Outcome.NOTHING
        message = Retained(topic, payload, qos, now_ms)
        if not self._has_room(message):
            self._forget(topic)
            self.refused += 1
            return Outcome.REFUSED
        self._put(message)
        return Outcome.STORED

    def load(self, messages: Iterable[Retained]) -> list[str]:
        """Take what was on disk, the newest where not all fit; return the topics left out."""
        newest_first = sorted(messages, key=lambda message: message.stored_ms, reverse=True)
        room, size = [], 0
        for message in newest_first[: self._most]:
            size += message.size_bytes
            if size > self._most_bytes:
                break
            room.append(message)
        for message in reversed(room):
            self._put(message)
        return [message.topic for message in newest_first[len(room) :]]

    def match(self, topic_filter: str) -> Iterator[Retained]:
        """Yield the messages of all topics that a valid filter matches.

        The store may change meanwhile: what is deleted is left out, what is new may be.
        """
        levels = topic_filter.split("/")
        ahead = [(self._root, 0)]
        while ahead:
            node, depth = ahead.pop()
            if depth == len(levels):
                if node.value is not None:
                    yield node.value
            elif levels[depth] == "#":
                # MQTT-4.7.1-2: the parent too, which the root is not.
                if node.value is not None:
                    yield node.value
                ahead.extend((child, depth) for child in _below(node, self._root))
            elif levels[depth] == "+":
                ahead.extend((child, depth + 1) for child in _below(node, self._root))
            elif (child := node.children.get(levels[depth])) is not None:
                ahead.append((child, depth + 1))

    def expire(self, now_ms: int) -> list[str]:
        """Delete what is older than allowed; return its topics."""
        old = []
        for topic, node in self._by_age.items():
            if node.value is not None and now_ms - node.value.stored_ms <= self._age_ms:
                break
            old.append(topic)
        for topic in old:
            self._forget(topic)
        self.expired += len(old)
        return old

    def _has_room(self, message: Retained) -> bool:
        last = self.get(message.topic)
        messages = len(self) + (last is None)
        size = self._bytes + message.size_bytes - (last.size_bytes if last else 0)
        return messages <= self._most and size <= self._most_bytes

    def _put(self, message: Retained) -> None:
        node = self._by_age.pop(message.topic, None) or grow(self._root, message.topic)
        self._bytes += message.size_bytes - (node.value.size_bytes if node.value else 0)
        node.value = message
        self._by_age[message.topic] = node

    def _forget(self, topic: str) -> bool:
        node = self._by_age.pop(topic, None)
        if node is None or node.value is None:
            return False
        self._bytes -= node.value.size_bytes
        prune(self._root, topic)
        return True


def _below(node: Node[Retained], root: Node[Retained]) -> list[Node[Retained]]:
    """Return what a wildcard matches there: at the root no topic that begins with `$`."""
    if node is not root:
        return list(node.children.values())
    return [child for level, child in node.children.items() if not level.startswith("$")]
