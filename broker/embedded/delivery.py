"""What waits for one client and what it has not acknowledged yet. It knows no socket and no store.

Messages leave in the order in which they came. At most `in_flight` of QoS 1 are out at a time; they
stay until they are acknowledged, however long that takes, and go out again, first and with DUP,
when the client comes back (MQTT-4.4.0-1).
"""

from collections import deque
from collections.abc import Callable

import msgspec

from broker.embedded.packets.decode import Publish

_LAST_PACKET_ID = 65_535


class Entry(msgspec.Struct, gc=False):
    """A message on its way to one client. `row`: its id in the store, 0 where it has none."""

    message: Publish
    row: int = 0
    # Unix epoch.
    queued_ms: int = 0
    place: int = 0

    @property
    def size_bytes(self) -> int:
        return len(self.message.topic) + len(self.message.payload)


class Sending(msgspec.Struct, frozen=True, gc=False):
    """A message to be written now. `packet_id` 0: QoS 0."""

    entry: Entry
    packet_id: int
    dup: bool = False


class Delivery:
    """The queue and the window of one session."""

    def __init__(self, *, in_flight: int, messages: int, size_bytes: int) -> None:
        """`messages` and `size_bytes` bound what waits; what is in flight comes on top."""
        self._window = in_flight
        self._most = messages
        self._most_bytes = size_bytes
        self._waiting: tuple[deque[Entry], deque[Entry]] = (deque(), deque())
        self._places = 0
        self._bytes = 0
        self._in_flight: dict[int, Entry] = {}
        self._again: deque[int] = deque()
        self._packet_id = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting[0]) + len(self._waiting[1])

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    def put(self, entry: Entry) -> list[Entry]:
        """Queue a message; return what was given up for want of room, which may be `entry`.

        The oldest of QoS 0 go first. One of QoS 1 is returned where nothing else was left to give.
        """
        given_up: list[Entry] = []
        while self._is_full(entry):
            queue = self._waiting[0] or self._waiting[entry.message.qos]
            if not queue:
                return [*given_up, entry]
            given_up.append(self._take(queue))
        self._places += 1
        entry.place = self._places
        self._waiting[entry.message.qos].append(entry)
        self._bytes += entry.size_bytes
        return given_up

    def next(self) -> Sending | None:
        """Return what to write next, or None: nothing waits, or the window is full."""
        if self._again:
            packet_id = self._again.popleft()
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
    def is_rewound(self) -> bool:
        """Whether something in flight is to go out again."""
        return bool(self._again)

    @property
    def has_window(self) -> bool:
        return len(self._in_flight) < self._window

    def send(self, entry: Entry) -> Sending:
        """Put a message of QoS 1 in flight past the queue; there must be room in the window."""
        packet_id = self._free_packet_id()
        self._in_flight[packet_id] = entry
        return Sending(entry, packet_id)

    def put_in_flight(self, packet_id: int, entry: Entry) -> None:
        """Take over what was in flight before the broker was started anew."""
        self._in_flight[packet_id] = entry
        self._packet_id = packet_id

    def acknowledge(self, packet_id: int) -> Entry | None:
        """Take a message out of flight; None where none has that id."""
        entry = self._in_flight.pop(packet_id, None)
        if entry is not None and self._again:
            self._again = deque(other for other in self._again if other != packet_id)
        return entry

    def rewind(self) -> None:
        """The client is back: whatever is in flight goes out again first, in its order."""
        self._again = deque(self._in_flight)

    def keep_only(self, wanted: Callable[[Entry], bool]) -> list[Entry]:
        """Forget what is not wanted, in flight or waiting, and return it."""
        gone = [entry for entry in self._in_flight.values() if not wanted(entry)]
        self._in_flight = {i: e for i, e in self._in_flight.items() if wanted(e)}
        for queue in self._waiting:
            entries = list(queue)
            queue.clear()
            queue.extend(entry for entry in entries if wanted(entry))
            unwanted = [entry for entry in entries if not wanted(entry)]
            self._bytes -= sum(entry.size_bytes for entry in unwanted)
            gone += unwanted
        return gone

    def _is_full(self, entry: Entry) -> bool:
        too_many = self.waiting >= self._most
        return too_many or self._bytes + entry.size_bytes > self._most_bytes

    def _first_queue(self) -> deque[Entry]:
        zero, one = self._waiting
        if zero and one:
            return zero if zero[0].place < one[0].place else one
        return zero or one

    def _take(self, queue: deque[Entry]) -> Entry:
        entry = queue.popleft()
        self._bytes -= entry.size_bytes
        return entry

    def _free_packet_id(self) -> int:
        """Return an id that nothing in flight has. The window is smaller than the ids are many."""
        while True:
            self._packet_id = self._packet_id % _LAST_PACKET_ID + 1
            if self._packet_id not in self._in_flight:
                return self._packet_id
