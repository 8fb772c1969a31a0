"""Outgoing messages of the forwarder: the newest payload of each topic, and what is still to send.

A slow or absent broker makes no queue grow: a newer payload of a topic takes the place of an older
one. Any thread may call; no lock is held while something is sent.
"""

import itertools
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

from bus.client.link import WireMessage

# 200 nodes with 600 sensors, each with its entities, and room beside them.
MAX_TOPICS = 20_000
MAX_BYTES = 32 * 1024 * 1024
# Messages without a retain flag, of which each counts.
MAX_EVENTS = 256
_MAX_EARLIER = 1_000


class Outgoing:
    """Retained topics with their newest payloads, in the order in which they are due.

    `kept` are the topics that the other broker may have retained from an earlier run.
    """

    def __init__(
        self,
        kept: Iterable[str] = (),
        *,
        most_topics: int = MAX_TOPICS,
        most_bytes: int = MAX_BYTES,
    ) -> None:
        self._most_topics = most_topics
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._latest: dict[str, bytes] = {}
        self._bytes = 0
        # Topics to send, the longest due first; those of discovery behind all others.
        self._due: OrderedDict[str, None] = OrderedDict()
        self._discovery_due: OrderedDict[str, None] = OrderedDict()
        self._discovery: set[str] = set()
        # Payloads to send before the newest.
        self._earlier: dict[str, bytes] = {}
        # Emptied topics, until the other broker has acknowledged that; whether each was sent.
        self._emptied: dict[str, bool] = {}
        self._leftover = set(kept)
        self._events: deque[WireMessage] = deque()
        # Sent once all that was due at the connection is, but for discovery.
        self._last: WireMessage | None = None
        self._last_after = 0
        self._is_connected = False
        self.dropped = 0
        # How often the set of retained topics changed.
        self.changes = 0

    @property
    def waiting(self) -> int:
        """The number of messages that are to be sent."""
        with self._lock:
            return len(self._due) + len(self._discovery_due) + len(self._events)

    @property
    def waits_for_discovery(self) -> bool:
        """Whether messages of discovery are all that is to be sent."""
        with self._lock:
            return bool(self._discovery_due) and not self._due and not self._events

    @property
    def topics(self) -> int:
        with self._lock:
            return len(self._latest)

    @property
    def retained_there(self) -> list[str]:
        """The topics that the other broker may have retained."""
        with self._lock:
            return sorted({*self._latest, *self._emptied, *self._leftover})

    def put(self, topic: str, payload: bytes) -> bool:
        """Set a retained topic; an empty payload removes it. Return whether this adds work."""
        with self._lock:
            return self._put(topic, payload)

    def put_discovery(self, topic: str, payload: bytes) -> bool:
        """Set a topic of discovery; a payload that waits already is sent before this one."""
        with self._lock:
            if topic in self._discovery_due and len(self._earlier) < _MAX_EARLIER:
                self._earlier.setdefault(topic, self._latest.get(topic, b""))
            self._discovery.add(topic)
            return self._put(topic, payload)

    def put_message(self, message: WireMessage) -> bool:
        """Add a message that is not retained, or drop it where there is no connection."""
        with self._lock:
            if not self._is_connected or len(self._events) >= MAX_EVENTS:
                self.dropped += 1
                return False
            self._events.append(message)
            return True

    def connected(self, last: WireMessage) -> None:
        """Begin a connection: everything is due again, and then `last`."""
        with self._lock:
            self._is_connected = True
            self._events.clear()
            self._emptied = dict.fromkeys(self._emptied, False)
            self._make_all_due(self._emptied, last)

    def send_again(self, last: WireMessage) -> None:
        """Make everything due, and then `last`; on this connection what was emptied stays so."""
        with self._lock:
            emptied = [topic for topic, is_sent in self._emptied.items() if not is_sent]
            self._make_all_due(emptied, last)

    def disconnected(self) -> None:
        with self._lock:
            self._is_connected = False
            self.dropped += len(self._events)
            self._events.clear()

    def take(self, may_discover: Callable[[], bool] = lambda: True) -> WireMessage | None:
        """Return the next message to send, or None.

        `may_discover` is asked where only messages of discovery are left.
        """
        with self._lock:
            if self._last is not None and self._last_after == 0:
                last, self._last = self._last, None
                return last
            if self._events:
                return self._events.popleft()
            if self._due:
                self._last_after = max(0, self._last_after - 1)
                return self._taken(self._due)
            return self._taken(self._discovery_due) if self._may(may_discover) else None

    def give_back(self, message: WireMessage) -> None:
        """Take back a message that could not be sent: a connection that is new sends it anyway."""
        with self._lock:
            if message.topic in self._latest or message.topic in self._emptied:
                self._queue_of(message.topic)[message.topic] = None

    def settled(self) -> None:
        """Note that the other broker has acknowledged everything that was taken."""
        with self._lock:
            for topic in [topic for topic, is_sent in self._emptied.items() if is_sent]:
                del self._emptied[topic]
                self._discovery.discard(topic)
                self.changes += 1

    def empty_leftovers(self) -> None:
        """Empty the topics of an earlier run that this one does not have."""
        with self._lock:
            for topic in self._leftover - self._latest.keys():
                self._emptied[topic] = False
                self._due[topic] = None
            self._leftover.clear()

    def _make_all_due(self, emptied: Iterable[str], last: WireMessage) -> None:
        self._earlier.clear()
        self._due.clear()
        self._discovery_due.clear()
        for topic in itertools.chain(emptied, self._latest):
            self._queue_of(topic)[topic] = None
        self._last, self._last_after = last, len(self._due)

    def _queue_of(self, topic: str) -> OrderedDict[str, None]:
        return self._discovery_due if topic in self._discovery else self._due

    def _may(self, may_discover: Callable[[], bool]) -> bool:
        return bool(self._discovery_due) and may_discover()

    def _taken(self, queue: OrderedDict[str, None]) -> WireMessage:
        topic = next(iter(queue))
        if topic in self._earlier:
            return WireMessage(topic, self._earlier.pop(topic), retain=True)
        del queue[topic]
        if topic in self._emptied:
            self._emptied[topic] = True
        return WireMessage(topic, self._latest.get(topic, b""), retain=True)

    def _put(self, topic: str, payload: bytes) -> bool:
        if self._is_set(topic, payload):
            return False
        if not self._has_room(topic, payload):
            self.dropped += 1
            return False
        if payload:
            self._set(topic, payload)
        else:
            self._empty(topic)
        self._queue_of(topic)[topic] = None
        return self._is_connected

    def _is_set(self, topic: str, payload: bytes) -> bool:
        if not payload:
            return topic in self._emptied
        return self._latest.get(topic) == payload and topic not in self._leftover

    def _has_room(self, topic: str, payload: bytes) -> bool:
        if not payload:
            return topic in self._latest or len(self._emptied) < self._most_topics
        old = self._latest.get(topic)
        has_place = old is not None or len(self._latest) < self._most_topics
        return has_place and self._bytes + len(payload) - len(old or b"") <= self._most_bytes

    def _set(self, topic: str, payload: bytes) -> None:
        self._bytes += len(payload) - len(self._latest.get(topic, b""))
        self.changes += topic not in self._latest
        self._latest[topic] = payload
        self._emptied.pop(topic, None)
        self._leftover.discard(topic)

    def _empty(self, topic: str) -> None:
        self._bytes -= len(self._latest.pop(topic, b""))
        self._leftover.discard(topic)
        self._emptied[topic] = False
