"""Retained messages: the last one of each topic, in memory, with limits."""

import enum
from collections.abc import Iterable, Iterator
from typing import Self

import msgspec

from broker.due_times import DueTimes
from broker.embedded.packets.model import NO_PROPERTIES, Properties
from broker.embedded.topics.levels import Node, insert, remove
from bus.clock import DAY_MS
from bus.config.broker_table import BrokerConfig
from bus.contract.topics import ROOT

_BYTES_PER_MB = 1024 * 1024


class Retained(msgspec.Struct, frozen=True, gc=False):
    """A retained message. `stored_ms`: Unix epoch; a message expiry interval begins then.

    `owner` is the user that published it; empty, it counts for nobody's quota. The store has it
    where it is not the name in the topic, as it is in a node's own.
    """

    topic: str
    payload: bytes
    qos: int
    stored_ms: int
    owner: str = ""
    properties: Properties = NO_PROPERTIES

    @property
    def size_bytes(self) -> int:
        topic = self.topic
        # Asked for each message: most have neither other letters nor properties.
        size = len(self.payload) + (len(topic) if topic.isascii() else len(topic.encode()))
        if self.properties is not NO_PROPERTIES:
            size += self.properties.size_bytes
        return size


class Outcome(enum.Enum):
    """Result of retaining a message."""

    STORED = enum.auto()
    DELETED = enum.auto()
    # Nothing to delete.
    NOTHING = enum.auto()
    # No room. The topic's last message is removed too: no value is better than a stale one.
    REFUSED = enum.auto()


# The members of an enumeration cost a look-up each time.
_STORED = Outcome.STORED


class Quota(msgspec.Struct, frozen=True):
    """Limits of one user's messages, of topics and payloads together for `size_bytes`."""

    messages: int
    size_bytes: int


_NO_QUOTA = Quota(2**63, 2**63)
# So much a user may retain even where the limit of all is reached, so that nobody who fills the
# store keeps a healthy node's values out.
_RESERVED = Quota(64, 32 * 1024)


class Usage:
    """Amounts of one user."""

    __slots__ = ("messages", "size_bytes")

    def __init__(self) -> None:
        self.messages = 0
        self.size_bytes = 0

    def is_within(self, quota: Quota, messages: int, size_bytes: int) -> bool:
        """Whether so many messages and bytes more are within `quota`."""
        return (
            self.messages + messages <= quota.messages
            and self.size_bytes + size_bytes <= quota.size_bytes
        )


class RetainedMessages:
    """Retained messages by topic. One for which there is no room is refused.

    There is a limit of all and one of each user; see `_RESERVED`. Nobody's messages make room for
    another's: a full store refuses new topics and keeps the old ones. Deletion and `expire` make
    room.
    """

    def __init__(
        self,
        *,
        messages: int,
        size_bytes: int,
        age_ms: float,
        quota: Quota = _NO_QUOTA,
    ) -> None:
        self._limit = Quota(messages, size_bytes)
        self._quota = quota
        self._max_age_ms = age_ms
        self._usage: dict[str, Usage] = {}
        self._all = Usage()
        self._root: Node[Retained] = Node()
        # By topic; the value of each node is set.
        self._nodes: dict[str, Node[Retained]] = {}
        # Not later than the message of the topic expires: a change in between costs nothing.
        self._expire_at_ms = DueTimes()

    @classmethod
    def bounded_by(cls, settings: BrokerConfig) -> Self:
        return cls(
            messages=settings.retained_messages,
            size_bytes=settings.retained_mb * _BYTES_PER_MB,
            age_ms=settings.retained_days * DAY_MS,
            quota=Quota(settings.retained_messages_per_user, settings.retained_kb_per_user * 1024),
        )

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def size_bytes(self) -> int:
        """Bytes of topics and payloads."""
        return self._all.size_bytes

    def get(self, topic: str) -> Retained | None:
        node = self._nodes.get(topic)
        return None if node is None else node.value

    def set(self, message: Retained) -> Outcome:
        """Keep a message in place of the topic's last; an empty one deletes (MQTT-3.3.1-10)."""
        if not message.payload:
            return Outcome.DELETED if self._delete(message.topic) else Outcome.NOTHING
        node = self._nodes.get(message.topic)
        last = None if node is None else node.value
        if node is None or last is None or last.owner != message.owner:
            return self._set_owned(message, last)
        growth = _growth(message, last)
        if growth > 0 and not self._has_room(message.owner, 0, growth, 0, growth):
            self._delete(message.topic)
            return Outcome.REFUSED
        self._usage[message.owner].size_bytes += growth
        self._all.size_bytes += growth
        node.value = message
        if message.properties is not NO_PROPERTIES:
            self._expire_at_ms.bring_forward(message.topic, self._due_ms(message))
        return _STORED

    def _set_owned(self, message: Retained, last: Retained | None) -> Outcome:
        """Keep the first message of a topic, or the first one of another owner."""
        size = message.size_bytes
        last_size = 0 if last is None else last.size_bytes
        if not self._has_room(message.owner, 1, size, int(last is None), size - last_size):
            self._delete(message.topic)
            return Outcome.REFUSED
        if last is not None:
            self._count(last.owner, -1, -last_size)
        self._put(message, size)
        return Outcome.STORED

    def load(self, messages: Iterable[Retained]) -> list[str]:
        """Load messages from the disk, the newest where not all fit; return the other topics."""
        newest_first = sorted(messages, key=lambda message: message.stored_ms, reverse=True)
        room, size = [], 0
        for message in newest_first[: self._limit.messages]:
            size += message.size_bytes
            if size > self._limit.size_bytes:
                break
            room.append(message)
        for message in reversed(room):
            owned = msgspec.structs.replace(message, owner=message.owner or owner_of(message.topic))
            self._put(owned, owned.size_bytes)
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

    def expire(self, now_ms: int, most: int | None = None) -> list[str]:
        """Delete messages above the age limit, or expired; return their topics.

        With `most`, at most so many topics are looked at.
        """
        deleted = []
        for topic in self._expire_at_ms.take(now_ms, most):
            message = self.get(topic)
            if message is None:
                continue
            due_ms = self._due_ms(message)
            if due_ms > now_ms:
                # It was changed since.
                self._expire_at_ms.set(topic, due_ms)
            elif self._delete(topic):
                deleted.append(topic)
        return deleted

    def _has_room(
        self, owner: str, messages: int, size: int, all_messages: int, all_size: int
    ) -> bool:
        """Whether an owner has room for so many messages and bytes more, and all together have."""
        usage = self._usage.get(owner) or Usage()
        if not usage.is_within(self._quota if owner else _NO_QUOTA, messages, size):
            return False
        return self._all.is_within(self._limit, all_messages, all_size) or (
            bool(owner) and usage.is_within(_RESERVED, messages, size)
        )

    def _put(self, message: Retained, size: int) -> None:
        """Put a message in the place of the topic's last, which is not counted any more."""
        node = self._nodes.get(message.topic) or insert(self._root, message.topic)
        self._count(message.owner, 1, size)
        node.value = message
        self._nodes[message.topic] = node
        self._expire_at_ms.bring_forward(message.topic, self._due_ms(message))

    def _due_ms(self, message: Retained) -> float:
        """Return when a message is deleted, if its topic is not changed before."""
        # Only what is older than the limit is.
        due_ms = message.stored_ms + self._max_age_ms + 1
        expiry_s = message.properties.message_expiry_s
        return due_ms if expiry_s is None else min(due_ms, message.stored_ms + expiry_s * 1000)

    def _delete(self, topic: str) -> bool:
        node = self._nodes.pop(topic, None)
        if node is None or node.value is None:
            return False
        self._count(node.value.owner, -1, -node.value.size_bytes)
        self._expire_at_ms.forget(topic)
        remove(self._root, topic)
        return True

    def _count(self, owner: str, messages: int, size_bytes: int) -> None:
        usage = self._usage.get(owner)
        if usage is None:
            usage = self._usage[owner] = Usage()
        usage.messages += messages
        usage.size_bytes += size_bytes
        self._all.messages += messages
        self._all.size_bytes += size_bytes
        if not usage.messages:
            del self._usage[owner]


def _growth(message: Retained, last: Retained) -> int:
    """Return the bytes by which a message is larger than the last one of its topic."""
    if message.properties is last.properties:
        return len(message.payload) - len(last.payload)
    return message.size_bytes - last.size_bytes


def owner_of(topic: str) -> str:
    """Return the name in a topic `harvester/<name>/...`, empty for any other topic."""
    levels = topic.split("/", 2)
    return levels[1] if len(levels) == 3 and levels[0] == ROOT else ""


def _below(node: Node[Retained], root: Node[Retained]) -> list[Node[Retained]]:
    """Return the children that a wildcard matches: at the root none that begins with `$`."""
    if node is not root:
        return list(node.children.values())
    return [child for level, child in node.children.items() if not level.startswith("$")]
