"""Retained messages: the last one of each topic, in memory, with limits."""

import enum
from collections.abc import Iterable, Iterator
from typing import Self

import msgspec

from broker.embedded.topics.levels import Node, insert, remove
from bus.config.broker_table import BrokerConfig

_MS_PER_DAY = 86_400_000
_BYTES_PER_MB = 1024 * 1024


class Retained(msgspec.Struct, frozen=True):
    """A retained message. `stored_ms`: Unix epoch."""

    topic: str
    payload: bytes
    qos: int
    stored_ms: int

    @property
    def size_bytes(self) -> int:
        return len(self.topic.encode()) + len(self.payload)


class Outcome(enum.Enum):
    """Result of retaining a message."""

    STORED = enum.auto()
    DELETED = enum.auto()
    # Nothing to delete.
    NOTHING = enum.auto()
    # No room. The topic's last message is removed too: no value is better than a stale one.
    REFUSED = enum.auto()


class RetainedMessages:
    """Retained messages by topic. One for which there is no room is refused.

    A full store refuses new topics and keeps the old ones, so that no client removes messages of
    others. Deletion and `expire` make room.
    """

    def __init__(self, *, messages: int, size_bytes: int, age_ms: float) -> None:
        self._max_messages = messages
        self._max_bytes = size_bytes
        self._max_age_ms = age_ms
        self._root: Node[Retained] = Node()
        # The longest unchanged first. The value of each node is set.
        self._by_age: dict[str, Node[Retained]] = {}
        self._bytes = 0

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
        """Bytes of topics and payloads."""
        return self._bytes

    def get(self, topic: str) -> Retained | None:
        node = self._by_age.get(topic)
        return None if node is None else node.value

    def set(self, topic: str, payload: bytes, qos: int, now_ms: int) -> Outcome:
        """Keep a message in place of the topic's last; an empty one deletes (MQTT-3.3.1-10)."""
        if not payload:
            return Outcome.DELETED if self._delete(topic) else Outcome.NOTHING
        message = Retained(topic, payload, qos, now_ms)
        if not self._has_room(message):
            self._delete(topic)
            return Outcome.REFUSED
        self._put(message)
        return Outcome.STORED

    def load(self, messages: Iterable[Retained]) -> list[str]:
        """Load messages from the disk, the newest where not all fit; return the other topics."""
        newest_first = sorted(messages, key=lambda message: message.stored_ms, reverse=True)
        room, size = [], 0
        for message in newest_first[: self._max_messages]:
            size += message.size_bytes
            if size > self._max_bytes:
                break
            room.append(message)
        for message in reversed(room):
            self._put(message)
        return [message.topic for message in newest_first[len(room) :]]

    def match(self, topic_filter: str) -> Iterator[Retained]:
        """Yield the messages of all topics that a valid filter matches.

        The store may change meanwhile: deleted messages are left out, new ones may be.
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
        """Delete messages above the age limit; return their topics."""
        old = []
        for topic, node in self._by_age.items():
            if node.value is not None and now_ms - node.value.stored_ms <= self._max_age_ms:
                break
            old.append(topic)
        for topic in old:
            self._delete(topic)
        return old

    def _has_room(self, message: Retained) -> bool:
        last = self.get(message.topic)
        messages = len(self) + (last is None)
        size = self._bytes + message.size_bytes - (last.size_bytes if last else 0)
        return messages <= self._max_messages and size <= self._max_bytes

    def _put(self, message: Retained) -> None:
        node = self._by_age.pop(message.topic, None) or insert(self._root, message.topic)
        self._bytes += message.size_bytes - (node.value.size_bytes if node.value else 0)
        node.value = message
        self._by_age[message.topic] = node

    def _delete(self, topic: str) -> bool:
        node = self._by_age.pop(topic, None)
        if node is None or node.value is None:
            return False
        self._bytes -= node.value.size_bytes
        remove(self._root, topic)
        return True


def _below(node: Node[Retained], root: Node[Retained]) -> list[Node[Retained]]:
    """Return the children that a wildcard matches: at the root none that begins with `$`."""
    if node is not root:
        return list(node.children.values())
    return [child for level, child in node.children.items() if not level.startswith("$")]
