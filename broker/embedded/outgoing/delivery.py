"""Delivery queue and in-flight window of one session. It knows no socket and no store.

Messages leave in the order in which they came. At most `in_flight` messages of QoS 1 and 2 are
unacknowledged at a time. They are kept until they are acknowledged, and sent again, first and with
DUP, when the client reconnects (MQTT-4.4.0-1).
"""

from collections.abc import Callable

import msgspec

from broker.embedded.outgoing.entry import Entry, Sending
from broker.embedded.outgoing.waiting import WaitingMessages

_LAST_PACKET_ID = 65_535
# Most sessions have no message that waits: they share this queue, into which nothing is put.
_NOTHING = WaitingMessages(1, 1)


class Delivery:
    """Queue and in-flight window of one session."""

    __slots__ = (
        *("window", "queue", "_most", "_most_bytes"),
        *("_in_flight", "_to_resend", "_packet_id"),
    )

    def __init__(self, *, in_flight: int, messages: int, size_bytes: int) -> None:
        """`messages` and `size_bytes` limit the queue; what is in flight comes on top."""
        # At most so many messages are unacknowledged on one connection.
        self.window = in_flight
        self._most = messages
        self._most_bytes = size_bytes
        self.queue = _NOTHING
        self._in_flight: dict[int, Entry] = {}
        self._to_resend: list[int] = []
        self._packet_id = 0

    @property
    def waiting(self) -> int:
        return len(self.queue)

    @property
    def waiting_bytes(self) -> int:
        return self.queue.size_bytes

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in flight or queued."""
        return not (self._in_flight or self.queue)

    @property
    def has_room(self) -> bool:
        """Whether publishers that wait for room in this queue may go on."""
        return self.queue.has_room

    def is_above_share(self, publisher: str) -> bool:
        """Whether the queue is full and `publisher` has more than its share in it."""
        return self.queue.is_above_share(publisher)

    def put(self, entry: Entry, *, may_exceed: bool = False) -> list[Entry]:
        """Queue a message; return those that were dropped for lack of room, perhaps `entry` itself.

        The oldest of QoS 0 are dropped first, then the oldest of QoS 1 and 2. With `may_exceed`,
        one of QoS 1 or 2 goes above the limit: its publisher is made to wait.
        """
        if self.queue is _NOTHING:
            self.queue = WaitingMessages(self._most, self._most_bytes)
        return self.queue.put(entry, may_exceed=may_exceed)

    def next(self) -> Sending | None:
        """Return what to write next; None where nothing is queued or the window is full."""
        if self._to_resend:
            if not self.has_window:
                return None
            packet_id = self._to_resend.pop(0)
            return Sending(self._in_flight[packet_id], packet_id, dup=True)
        first = self.queue.first
        if first is None:
            return None
        if not first.message.qos:
            return Sending(self.queue.take_first(), 0)
        return self.send(self.queue.take_first()) if self.has_window else None

    @property
    def has_waiting(self) -> bool:
        """Whether messages are queued or to be sent again."""
        return (self.queue is not _NOTHING and bool(self.queue)) or bool(self._to_resend)

    @property
    def is_resending(self) -> bool:
        """Whether messages in flight are still to be sent again."""
        return bool(self._to_resend)

    @property
    def has_window(self) -> bool:
        return len(self._in_flight) - len(self._to_resend) < self.window

    def send(self, entry: Entry) -> Sending:
        """Return a message of QoS 1 or 2 to write, which is in flight from now on."""
        return Sending(entry, self.put_in_flight(entry))

    def put_in_flight(self, entry: Entry) -> int:
        """Return the packet id of a message of QoS 1 or 2; the window must have room."""
        packet_id = self._free_packet_id()
        self._in_flight[packet_id] = entry
        return packet_id

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
        self._to_resend = list(self._in_flight)

    def remove_unless(self, wanted: Callable[[Entry], bool]) -> list[Entry]:
        """Remove the messages that are not wanted, queued or in flight, and return them."""
        removed = self._remove_in_flight(lambda entry: entry.is_released or wanted(entry))
        return removed + self.queue.remove_unless(wanted)

    def expire(self, now_ms: int) -> list[Entry]:
        """Remove and return the waiting messages that have expired."""
        expired = self.queue.expire(now_ms)
        for entry in expired:
            if entry.message.qos:
                # As of those that expire when it is their turn, the packet id is used up.
                self._packet_id = self._free_packet_id()
        return expired

    def take_shared(self, wanted: Callable[[Entry], bool]) -> list[Entry]:
        """Remove and return the wanted messages of shared subscriptions, in their order.

        Those of QoS 2 that are in flight stay.
        """

        def stays(entry: Entry) -> bool:
            return not entry.group or not wanted(entry)

        removed = self._remove_in_flight(lambda entry: entry.message.qos == 2 or stays(entry))
        return removed + self.queue.remove_unless(stays)

    def _remove_in_flight(self, stays: Callable[[Entry], bool]) -> list[Entry]:
        in_flight, self._in_flight = self._in_flight, {}
        removed = []
        for packet_id, entry in in_flight.items():
            if stays(entry):
                self._in_flight[packet_id] = entry
            else:
                removed.append(entry)
        return removed

    def _end(self, packet_id: int) -> Entry:
        if self._to_resend:
            self._send_no_more(packet_id)
        return self._in_flight.pop(packet_id)

    def _send_no_more(self, packet_id: int) -> None:
        if self._to_resend:
            self._to_resend = [other for other in self._to_resend if other != packet_id]

    def _free_packet_id(self) -> int:
        """Return an unused packet id. There are more ids than places in the window."""
        while True:
            self._packet_id = self._packet_id % _LAST_PACKET_ID + 1
            if self._packet_id not in self._in_flight:
                return self._packet_id
