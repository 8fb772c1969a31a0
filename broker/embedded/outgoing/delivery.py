"""Delivery queue and in-flight window of one session. It knows no socket and no store.

Messages leave in the order in which they came. At most `in_flight` messages of QoS 1 and 2 are
unacknowledged at a time. They are kept until they are acknowledged, and sent again, first and with
DUP, when the client reconnects (MQTT-4.4.0-1).
"""

import itertools
import math
from collections import deque
from collections.abc import Callable

import msgspec

from broker.embedded.packets.model import NO_PROPERTIES, Publish, aged
from broker.fair_limit import FairLimit

_LAST_PACKET_ID = 65_535
# A connected client's queue may grow to so many times its limit, since each publisher waits only
# after the message that filled it.
BURST_MESSAGES = 16
_BURST_BYTES = 4


class Entry(msgspec.Struct, gc=False):
    """A message for one client. `message_id`: its id in the store, 0 where it is not stored."""

    message: Publish
    message_id: int = 0
    # Unix epoch; 0 where it is sent at once.
    queued_ms: int = 0
    # Its number in the order of arrival.
    position: int = 0
    # The key of the session that published it; empty for the broker itself.
    publisher: str = ""
    # At QoS 2: its receiver has it, and only the end of the handshake is to come.
    is_released: bool = False
    # The shared subscription through which it came, if any.
    group: str = ""

    @property
    def size_bytes(self) -> int:
        return self.message.size_bytes

    @property
    def expiry_ms(self) -> float:
        """When it expires: Unix epoch, infinite where it does not."""
        expiry_s = self.message.properties.message_expiry_s
        return math.inf if expiry_s is None else self.queued_ms + expiry_s * 1000

    def aged(self, now_ms: int) -> Publish | None:
        """Return the message with what is left of its expiry interval; None: it has expired."""
        if not self.queued_ms:
            return self.message
        properties = aged(self.message.properties, now_ms - self.queued_ms)
        if properties is None:
            return None
        if properties is self.message.properties:
            return self.message
        return msgspec.structs.replace(self.message, properties=properties)


class Sending(msgspec.Struct, frozen=True, gc=False):
    """A message to write now, or the PUBREL of one that is released. `packet_id` 0: QoS 0."""

    entry: Entry
    packet_id: int
    dup: bool = False


class Delivery:
    """Queue and in-flight window of one session."""

    def __init__(self, *, in_flight: int, messages: int, size_bytes: int) -> None:
        """`messages` and `size_bytes` limit the queue; what is in flight comes on top."""
        # At most so many messages are unacknowledged on one connection.
        self.window = in_flight
        self._most = messages
        self._most_bytes = size_bytes
        self._waiting: tuple[deque[Entry], deque[Entry]] = (deque(), deque())
        self._positions = 0
        self._bytes = 0
        # The waiting messages of QoS 1 and 2.
        self._shares = FairLimit(messages)
        self._byte_shares = FairLimit(size_bytes)
        self._in_flight: dict[int, Entry] = {}
        self._to_resend: deque[int] = deque()
        self._packet_id = 0
        # Not later than the first of the waiting messages expires.
        self.next_expiry_ms = math.inf

    @property
    def waiting(self) -> int:
        return len(self._waiting[0]) + len(self._waiting[1])

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in flight or queued."""
        return not (self._in_flight or self._waiting[0] or self._waiting[1])

    @property
    def has_room(self) -> bool:
        """Whether publishers that wait for room in this queue may go on."""
        return self._shares.has_room and self._byte_shares.has_room

    def is_above_share(self, publisher: str) -> bool:
        """Whether the queue is full and `publisher` has more than its share in it."""
        return self._shares.is_above_share(publisher) or self._byte_shares.is_above_share(publisher)

    def put(self, entry: Entry, *, may_exceed: bool = False) -> list[Entry]:
        """Queue a message; return those that were dropped for lack of room, perhaps `entry` itself.

        The oldest of QoS 0 are dropped first, then the oldest of QoS 1 and 2. With `may_exceed`,
        one of QoS 1 or 2 goes above the limit: its publisher is made to wait.
        """
        dropped: list[Entry] = []
        exceeds = may_exceed and bool(entry.message.qos)
        while self._waiting[0] and self._is_full(entry, exceeds=False):
            dropped.append(self._take(self._waiting[0]))
        while self._is_full(entry, exceeds=exceeds):
            queue = self._waiting[min(entry.message.qos, 1)]
            if not queue:
                return [*dropped, entry]
            dropped.append(self._take(queue))
        self._positions += 1
        entry.position = self._positions
        if entry.message.properties is not NO_PROPERTIES:
            self.next_expiry_ms = min(self.next_expiry_ms, entry.expiry_ms)
        self._waiting[min(entry.message.qos, 1)].append(entry)
        self._bytes += entry.size_bytes
        if entry.message.qos:
            self._shares.add(entry.publisher, 1)
            self._byte_shares.add(entry.publisher, entry.size_bytes)
        return dropped

    def next(self) -> Sending | None:
        """Return what to write next; None where nothing is queued or the window is full."""
        if self._to_resend:
            if not self.has_window:
                return None
            packet_id = self._to_resend.popleft()
            return Sending(self._in_flight[packet_id], packet_id, dup=True)
        queue = self._first_queue()
        if not queue:
            return None
        if not queue[0].message.qos:
            return Sending(self._take(queue), 0)
        if not self.has_window:
            return None
        return self.send(self._take(queue))

    @property
    def has_waiting(self) -> bool:
        """Whether messages are queued or to be sent again."""
        return bool(self._waiting[0] or self._waiting[1] or self._to_resend)

    @property
    def is_resending(self) -> bool:
        """Whether messages in flight are still to be sent again."""
        return bool(self._to_resend)

    @property
    def has_window(self) -> bool:
        return len(self._in_flight) - len(self._to_resend) < self.window

    def send(self, entry: Entry) -> Sending:
        """Put a message of QoS 1 or 2 in flight without queueing it; the window must have room."""
        packet_id = self._free_packet_id()
        self._in_flight[packet_id] = entry
        return Sending(entry, packet_id)

    def restore_in_flight(self, packet_id: int, entry: Entry) -> None:
        """Put a message back in flight as it was before the broker restarted."""
        self._in_flight[packet_id] = entry
        self._packet_id = packet_id

    def qos_of(self, packet_id: int) -> int | None:
        """Return the QoS of a message in flight; None where none has that packet id."""
        entry = self._in_flight.get(packet_id)
        return None if entry is None else entry.message.qos

    def discard(self, packet_id: int) -> Entry | None:
        """Take a message out of flight, whatever its QoS; None where none has that packet id."""
        return self._end(packet_id) if packet_id in self._in_flight else None

    def acknowledge(self, packet_id: int) -> Entry | None:
        """Take a message of QoS 1 out of flight; None where none has that packet id."""
        entry = self._in_flight.get(packet_id)
        return self._end(packet_id) if entry is not None and entry.message.qos == 1 else None

    def release(self, packet_id: int) -> Entry | None:
        """Note that a message of QoS 2 was received; None where none has that packet id."""
        entry = self._in_flight.get(packet_id)
        if entry is None or entry.message.qos != 2:
            return None
        if not entry.is_released:
            entry.is_released = True
            entry.message = msgspec.structs.replace(entry.message, payload=b"")
            self._send_no_more(packet_id)
        return entry

    def complete(self, packet_id: int) -> Entry | None:
        """Take a released message of QoS 2 out of flight; None where none has that packet id."""
        entry = self._in_flight.get(packet_id)
        return self._end(packet_id) if entry is not None and entry.is_released else None

    def resend_in_flight(self) -> None:
        """Send everything in flight again, first and in its order: the client has reconnected."""
        self._to_resend = deque(self._in_flight)

    def remove_unless(self, wanted: Callable[[Entry], bool]) -> list[Entry]:
        """Remove the messages that are not wanted, queued or in flight, and return them."""
        removed = self._remove_in_flight(lambda entry: entry.is_released or wanted(entry))
        return removed + self._remove_waiting(wanted)

    def expire(self, now_ms: int) -> list[Entry]:
        """Remove and return the waiting messages that have expired."""
        expired = self._remove_waiting(lambda entry: entry.expiry_ms > now_ms)
        for entry in expired:
            if entry.message.qos:
                # As of those that expire when it is their turn, the packet id is used up.
                self._packet_id = self._free_packet_id()
        waiting = itertools.chain(*self._waiting)
        self.next_expiry_ms = min((entry.expiry_ms for entry in waiting), default=math.inf)
        return expired

    def take_shared(self, wanted: Callable[[Entry], bool]) -> list[Entry]:
        """Remove and return the wanted messages of shared subscriptions, in their order.

        Those of QoS 2 that are in flight stay.
        """

        def stays(entry: Entry) -> bool:
            return not entry.group or not wanted(entry)

        removed = self._remove_in_flight(lambda entry: entry.message.qos == 2 or stays(entry))
        return removed + self._remove_waiting(stays)

    def _remove_in_flight(self, stays: Callable[[Entry], bool]) -> list[Entry]:
        in_flight, self._in_flight = self._in_flight, {}
        removed = []
        for packet_id, entry in in_flight.items():
            if stays(entry):
                self._in_flight[packet_id] = entry
            else:
                removed.append(entry)
        return removed

    def _remove_waiting(self, stays: Callable[[Entry], bool]) -> list[Entry]:
        removed = []
        for queue in self._waiting:
            entries = list(queue)
            queue.clear()
            for entry in entries:
                if stays(entry):
                    queue.append(entry)
                else:
                    self._uncount(entry)
                    removed.append(entry)
        return removed

    def _end(self, packet_id: int) -> Entry:
        self._send_no_more(packet_id)
        return self._in_flight.pop(packet_id)

    def _send_no_more(self, packet_id: int) -> None:
        if self._to_resend:
            self._to_resend = deque(other for other in self._to_resend if other != packet_id)

    def _is_full(self, entry: Entry, *, exceeds: bool) -> bool:
        most = self._most * BURST_MESSAGES if exceeds else self._most
        most_bytes = self._most_bytes * _BURST_BYTES if exceeds else self._most_bytes
        return self.waiting >= most or self._bytes + entry.size_bytes > most_bytes

    def _first_queue(self) -> deque[Entry]:
        zero, one = self._waiting
        if zero and one:
            return zero if zero[0].position < one[0].position else one
        return zero or one

    def _take(self, queue: deque[Entry]) -> Entry:
        entry = queue.popleft()
        self._uncount(entry)
        return entry

    def _uncount(self, entry: Entry) -> None:
        self._bytes -= entry.size_bytes
        if entry.message.qos:
            self._shares.remove(entry.publisher, 1)
            self._byte_shares.remove(entry.publisher, entry.size_bytes)

    def _free_packet_id(self) -> int:
        """Return an unused packet id. There are more ids than places in the window."""
        while True:
            self._packet_id = self._packet_id % _LAST_PACKET_ID + 1
            if self._packet_id not in self._in_flight:
                return self._packet_id
