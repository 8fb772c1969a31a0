"""Bounded queue of MQTT payloads between the bus client's thread and the history's thread."""

import threading
from collections import deque

# Many seconds of traffic of a full system.
MAX_BYTES = 64_000_000
# What a queued payload costs beside its own bytes, roughly: a tuple, two strings, a bytes header.
_OVERHEAD_BYTES = 200

Payload = tuple[str, bytes]


class Inbox:
    """Queue of (topic, payload), bounded by size.

    A payload that does not fit is counted in `overrun` and dropped. It is never acknowledged, so
    its node sends it again.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.overrun = 0
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._queue: deque[Payload] = deque()
        self._queued_bytes = 0
        self._ready = threading.Event()

    def put(self, topic: str, payload: bytes) -> None:
        """Add a message; never waits. Called on the bus client's thread."""
        size = len(payload) + _OVERHEAD_BYTES
        with self._lock:
            if self._queued_bytes + size > self._max_bytes:
                self.overrun += 1
                return
            self._queue.append((topic, payload))
            self._queued_bytes += size
        self._ready.set()

    def take(self, timeout_s: float) -> deque[Payload]:
        """Wait up to `timeout_s` for a payload or for `wake`; return all that are queued."""
        self._ready.wait(max(0.0, timeout_s))
        self._ready.clear()
        with self._lock:
            queue, self._queue = self._queue, deque()
            self._queued_bytes = 0
        return queue

    def wake(self) -> None:
        """End a `take` that waits."""
        self._ready.set()
