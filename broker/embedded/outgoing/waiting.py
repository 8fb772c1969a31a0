"""Waiting messages of one session: those that its window, or an absent client, does not take yet.

They leave in the order in which they came.
"""

import itertools
import math
from collections import deque
from collections.abc import Callable

from broker.embedded.outgoing.entry import Entry
from broker.embedded.packets.model import NO_PROPERTIES
from broker.fair_limit import FairLimit

# A connected client's queue may grow to so many times its limit, since each publisher waits only
# after the message that filled it.
BURST_MESSAGES = 16
_BURST_BYTES = 4


class WaitingMessages:
    """Queue with limits of messages and of bytes."""

    def __init__(self, messages: int, size_bytes: int) -> None:
        self.size_bytes = 0
        # Not later than the first message expires.
        self.next_expiry_ms = math.inf
        self._most = messages
        self._most_bytes = size_bytes
        # Of QoS 0, and of QoS 1 and 2.
        self._queues: tuple[deque[Entry], deque[Entry]] = (deque(), deque())
        self._positions = 0
        # The messages of QoS 1 and 2.
        self._shares = FairLimit(messages)
        self._byte_shares = FairLimit(size_bytes)

    def __len__(self) -> int:
        return len(self._queues[0]) + len(self._queues[1])

    @property
    def has_room(self) -> bool:
        """Whether publishers that wait for room may go on."""
        return self._shares.has_room and self._byte_shares.has_room

    def is_above_share(self, publisher: str) -> bool:
        """Whether the queue is full and `publisher` has more than its share in it."""
        return self._shares.is_above_share(publisher) or self._byte_shares.is_above_share(publisher)

    def put(self, entry: Entry, *, may_exceed: bool) -> list[Entry]:
        """Queue a message; return those that were dropped for lack of room: see `Delivery.put`."""
        dropped: list[Entry] = []
        exceeds = may_exceed and bool(entry.message.qos)
        while self._queues[0] and self._is_full(entry, exceeds=False):
            dropped.append(self._take(self._queues[0]))
        while self._is_full(entry, exceeds=exceeds):
            queue = self._queues[min(entry.message.qos, 1)]
            if not queue:
                return [*dropped, entry]
            dropped.append(self._take(queue))
        self._positions += 1
        entry.position = self._positions
        if entry.message.properties is not NO_PROPERTIES:
            self.next_expiry_ms = min(self.next_expiry_ms, entry.expiry_ms)
        self._queues[min(entry.message.qos, 1)].append(entry)
        self.size_bytes += entry.size_bytes
        if entry.message.qos:
            self._shares.add(entry.publisher, 1)
            self._byte_shares.add(entry.publisher, entry.size_bytes)
        return dropped

    @property
    def first(self) -> Entry | None:
        """The message that came first; None: none waits."""
        queue = self._first_queue()
        return queue[0] if queue else None

    def take_first(self) -> Entry:
        """Remove and return the message that came first."""
        return self._take(self._first_queue())

    def remove_unless(self, wanted: Callable[[Entry], bool]) -> list[Entry]:
        """Remove and return the messages that are not wanted."""
        removed = []
        for queue in self._queues:
            entries = list(queue)
            queue.clear()
            for entry in entries:
                if wanted(entry):
                    queue.append(entry)
                else:
                    self._uncount(entry)
                    removed.append(entry)
        return removed

    def expire(self, now_ms: int) -> list[Entry]:
        """Remove and return the messages that have expired."""
        if now_ms < self.next_expiry_ms:
            return []
        expired = self.remove_unless(lambda entry: entry.expiry_ms > now_ms)
        waiting = itertools.chain(*self._queues)
        self.next_expiry_ms = min((entry.expiry_ms for entry in waiting), default=math.inf)
        return expired

    def _is_full(self, entry: Entry, *, exceeds: bool) -> bool:
        most = self._most * BURST_MESSAGES if exceeds else self._most
        most_bytes = self._most_bytes * _BURST_BYTES if exceeds else self._most_bytes
        return len(self) >= most or self.size_bytes + entry.size_bytes > most_bytes

    def _first_queue(self) -> deque[Entry]:
        zero, one = self._queues
        if zero and one:
            return zero if zero[0].position < one[0].position else one
        return zero or one

    def _take(self, queue: deque[Entry]) -> Entry:
        entry = queue.popleft()
        self._uncount(entry)
        return entry

    def _uncount(self, entry: Entry) -> None:
        self.size_bytes -= entry.size_bytes
        if entry.message.qos:
            self._shares.remove(entry.publisher, 1)
            self._byte_shares.remove(entry.publisher, entry.size_bytes)
