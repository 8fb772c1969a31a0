"""Counting of edges that the kernel reports on line requests, by one thread for all of them."""

import os
import selectors
import threading
from collections.abc import Callable
from typing import Any

_NS_PER_MS = 1_000_000


class EdgeFilter:
    """Calls `on_edge` at an edge, unless it is within `debounce_ms` after the last such edge."""

    def __init__(self, debounce_ms: int, on_edge: Callable[[], object]) -> None:
        self._debounce_ns = debounce_ms * _NS_PER_MS
        self._on_edge = on_edge
        self._counted_ns: int | None = None

    def see(self, at_ns: int) -> None:
        """Take an edge at `at_ns` of the kernel's monotonic clock."""
        last_ns = self._counted_ns
        if last_ns is None or not self._debounce_ns or at_ns - last_ns > self._debounce_ns:
            self._counted_ns = at_ns
            self._on_edge()


class EdgeThread:
    """Reads the edges of line requests as they arrive, from its construction until `close`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake = os.eventfd(0)
        self._selector.register(self._wake, selectors.EVENT_READ)
        # Between this thread, which reads a request, and the one that gives it back.
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="gpio-edges", daemon=True)
        self._thread.start()

    def add(self, request: Any, edges: EdgeFilter) -> None:
        """Read the edges of a gpiod line request."""
        with self._lock:
            self._selector.register(request.fd, selectors.EVENT_READ, (request, edges))

    def remove(self, request: Any) -> None:
        """Read no further edge of `request`, which may be released then."""
        with self._lock:
            self._selector.unregister(request.fd)

    def close(self) -> None:
        """End the thread. The requests stay open. Twice is fine."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        self._selector.close()
        os.close(self._wake)

    def _run(self) -> None:
        while True:
            ready = self._selector.select()
            with self._lock:
                if self._closed:
                    return
                for key, _ in ready:
                    # A request that was removed meanwhile would block, or be another one.
                    if self._selector.get_map().get(key.fd) is key:
                        _read(*key.data)


def _read(request: Any, edges: EdgeFilter) -> None:
    for event in request.read_edge_events():
        edges.see(event.timestamp_ns)
