"""Bounded queue of messages between the bus and the history's thread, fair between nodes.

What is new goes before backlogs: after an outage these are minutes of work.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from broker.fair_limit import FairLimit
from bus.contract.messages import Backlog, Message

# Where publishers cannot be made to wait: many seconds of traffic of a full system.
MAX_BYTES = 64_000_000
# Above it, nodes with more than their share wait; about half a second of the history's work.
FULL_BYTES = 1_000_000
# The least share of a node: a few cycles of readings. With smaller ones, all nodes of a large fleet
# would wait for each other.
SHARE_BYTES = 4_000
# The thread is woken for so much, and not for each message: what is less can wait for a moment, and
# each wake-up costs more than the decoded message that it is for.
_WAKE_BYTES = 60_000
# Taken at a time, so that a batch is committed as soon as it is full.
_TAKE_BYTES = 240_000
# At most so much of it is new while backlogs wait, so that they always go on.
_NEW_BYTES = 180_000
# What a queued payload costs beside its own bytes, roughly: a tuple, two strings, a bytes header.
_OVERHEAD_BYTES = 200

# Topic, payload, and the message that it spells where that is decoded already.
Payload = tuple[str, bytes, Message | None]


class _Turns:
    """Payloads by node, in the order of the nodes' turns."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Payload]] = {}

    def __bool__(self) -> bool:
        return bool(self._queues)

    def put(self, node: str, payload: Payload) -> None:
        queue = self._queues.get(node)
        if queue is None:
            queue = self._queues[node] = deque()
        queue.append(payload)

    def take(self, most_bytes: int) -> Iterator[tuple[str, Payload]]:
        """Yield one payload of each node in turn, until so many bytes are taken."""
        size = 0
        while self._queues and size < most_bytes:
            node = next(iter(self._queues))
            queue = self._queues.pop(node)
            payload = queue.popleft()
            if queue:
                self._queues[node] = queue
            size += _size(payload)
            yield node, payload

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield each node with the size of each of its payloads."""
        for node, queue in self._queues.items():
            for payload in queue:
                yield node, _size(payload)


class Inbox:
    """Queue of payloads, bounded by size; each node has its turn.

    A payload that does not fit is counted in `overrun` and dropped. It is never acknowledged, so
    its node sends it again. `on_room` is called on the history's thread when nodes need not wait
    any more. The nodes' shares are counted only from when it is full until they need not wait.

    Mostly all of it is taken at once. Only what is more is sorted by nodes, for their turns.
    """

    @classmethod
    def for_nodes(cls, nodes: int) -> Self:
        """Return an inbox with room for the shares of so many nodes."""
        full_bytes = max(FULL_BYTES, SHARE_BYTES * nodes)
        return cls(max(MAX_BYTES, 4 * full_bytes), full_bytes)

    def __init__(self, max_bytes: int = MAX_BYTES, full_bytes: int = FULL_BYTES) -> None:
        self.overrun = 0
        self.on_room: Callable[[], None] = lambda: None
        self._max_bytes = max_bytes
        self._full_bytes = full_bytes
        self._lock = threading.Lock()
        self._unsorted: list[Payload] = []
        self._new, self._backlogs = _Turns(), _Turns()
        self._size = 0
        self._shares: FairLimit | None = None
        self._ready = threading.Event()

    @property
    def has_room(self) -> bool:
        """Whether nodes that wait may go on."""
        return self._size <= self._full_bytes // 2

    @property
    def is_counting(self) -> bool:
        """Whether nodes may have to wait."""
        return self._shares is not None

    def is_above_share(self, node: str) -> bool:
        """Whether the inbox is full and `node` has more than its share in it."""
        with self._lock:
            return self._shares is not None and self._shares.is_above_share(node)

    def put(self, topic: str, payload: bytes, message: Message | None = None) -> None:
        """Add a message; never waits."""
        self.put_many([(topic, payload, message)])

    def put_many(self, payloads: Sequence[Payload]) -> None:
        """Add messages; never waits."""
        size = sum(map(_size, payloads))
        with self._lock:
            if self._size + size > self._max_bytes:
                payloads, size = self._fitting(payloads)
            self._size += size
            self._unsorted += payloads
            if self._shares is not None:
                self._sort()
            elif self._size >= self._full_bytes:
                self._count_shares()
            is_enough = self._size >= _WAKE_BYTES
        if is_enough and not self._ready.is_set():
            self._ready.set()

    def take(self, timeout_s: float) -> list[Payload]:
        """Wait up to `timeout_s` for enough payloads or for `wake`; return some of what is queued.

        Those of a node keep their order, but for its backlogs.
        """
        self._ready.wait(max(0.0, timeout_s))
        with self._lock:
            taken = self._take()
            if self._size < _WAKE_BYTES:
                self._ready.clear()
            may_go_on = self._shares is not None and self.has_room
            if may_go_on:
                self._shares = None
        if may_go_on:
            self.on_room()
        return taken

    def wake(self) -> None:
        """End a `take` that waits."""
        self._ready.set()

    def _fitting(self, payloads: Sequence[Payload]) -> tuple[list[Payload], int]:
        """Return the payloads for which there is room, and their size; count the others."""
        fitting, total = [], 0
        for payload in payloads:
            size = _size(payload)
            if self._size + total + size > self._max_bytes:
                self.overrun += 1
            else:
                fitting.append(payload)
                total += size
        return fitting, total

    def _sort(self) -> None:
        """Sort what has come by nodes, and count their shares while they matter."""
        payloads, self._unsorted = self._unsorted, []
        for payload in payloads:
            node = node_of(payload[0])
            if self._shares is not None:
                self._shares.add(node, _size(payload))
            (self._backlogs if isinstance(payload[2], Backlog) else self._new).put(node, payload)

    def _count_shares(self) -> None:
        self._shares = FairLimit(self._full_bytes)
        for turns in (self._new, self._backlogs):
            for node, size in turns.sizes():
                self._shares.add(node, size)
        self._sort()

    def _take(self) -> list[Payload]:
        fits = self._size <= _TAKE_BYTES
        if not fits or self._new or self._backlogs:
            return self._take_in_turns(_TAKE_BYTES if fits else _NEW_BYTES)
        self._size = 0
        taken, self._unsorted = self._unsorted, []
        backlogs = [payload for payload in taken if isinstance(payload[2], Backlog)]
        if backlogs:
            taken = [payload for payload in taken if not isinstance(payload[2], Backlog)]
        return taken + backlogs

    def _take_in_turns(self, most_new_bytes: int) -> list[Payload]:
        self._sort()
        taken = self._take_some(self._new, most_new_bytes if self._backlogs else _TAKE_BYTES)
        # At least one backlog, however large the last of the new payloads is.
        left = max(1, _TAKE_BYTES - sum(map(_size, taken)))
        return taken + self._take_some(self._backlogs, left)

    def _take_some(self, turns: _Turns, most_bytes: int) -> list[Payload]:
        taken = []
        for node, payload in turns.take(most_bytes):
            size = _size(payload)
            self._size -= size
            if self._shares is not None:
                self._shares.remove(node, size)
            taken.append(payload)
        return taken


def node_of(topic: str) -> str:
    """Return the second level of a topic, which names the node."""
    levels = topic.split("/", 2)
    return levels[1] if len(levels) > 1 else ""


def _size(payload: Payload) -> int:
    return len(payload[1]) + _OVERHEAD_BYTES
