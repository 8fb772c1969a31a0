"""Queue of a node's events: each is kept until the broker has acknowledged it.

In RAM and bounded: the oldest are dropped and counted. An event whose acknowledgement was lost with
the link is sent again, so it may arrive twice.
"""

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec

from bus.contract.messages import Event
from bus.limited_log import LimitedLog

logger = logging.getLogger(__name__)

# An event of a plugin has some 4 KB at most.
MAX_EVENTS = 256
_MAX_ACKNOWLEDGED = 10_000
_DROPPED = "dropped"

# Returns the packet id, None where the link did not take the message.
PublishEvent = Callable[[str, Event], int | None]


class _Entry(msgspec.Struct):
    sensor_id: str
    event: Event
    # None: not sent on this connection.
    packet_id: int | None = None


class EventQueue:
    """Events in their order. Any thread may call."""

    def __init__(self, publish: PublishEvent, most: int = MAX_EVENTS) -> None:
        self._publish = publish
        self._most = most
        self.dropped = 0
        self._lock = threading.Lock()
        self._next = 0
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        # The crossing from paho's thread, which holds a lock of paho's that `publish` takes.
        self._acknowledged: deque[int] = deque(maxlen=_MAX_ACKNOWLEDGED)
        self._log = LimitedLog(logger)

    def __len__(self) -> int:
        with self._lock:
            self._remove_acknowledged()
            return len(self._entries)

    def put(self, sensor_id: str, event: Event) -> None:
        """Add an event and send it, or keep it until the link is back."""
        with self._lock:
            self._entries[self._next] = _Entry(sensor_id, event)
            self._next += 1
            self._send()
            lost = None
            if len(self._entries) > self._most:
                _, lost = self._entries.popitem(last=False)
                self.dropped += 1
            dropped = self.dropped
        # Logged without the lock: a log handler may publish.
        if lost is not None:
            text = "no broker: the oldest event, of %s, was dropped; %d so far"
            self._log.warning(_DROPPED, text, lost.sensor_id, dropped)

    def send_waiting(self) -> None:
        """Send what the link did not take before."""
        with self._lock:
            self._send()

    # paho's network thread runs these.

    def connected(self) -> None:
        """Send everything that the last connection left without an acknowledgement."""
        with self._lock:
            self._remove_acknowledged()
            for entry in self._entries.values():
                entry.packet_id = None
            self._send()

    def acknowledged(self, packet_id: int) -> None:
        """Note an acknowledgement, of an event or of another message. Takes no lock."""
        if self._entries:
            self._acknowledged.append(packet_id)

    def _send(self) -> None:
        self._remove_acknowledged()
        for entry in self._entries.values():
            if entry.packet_id is None:
                entry.packet_id = self._publish(entry.sensor_id, entry.event)
            if entry.packet_id is None:
                return

    def _remove_acknowledged(self) -> None:
        done = set()
        while self._acknowledged:
            done.add(self._acknowledged.popleft())
        if done:
            for key in [key for key, e in self._entries.items() if e.packet_id in done]:
                del self._entries[key]
