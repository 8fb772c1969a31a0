"""Inbox of the sender's thread: wake-ups and the hub's acknowledgements."""

import queue
import threading
from collections.abc import Iterator

from bus.contract.messages import Stored


class SenderInbox:
    """The one crossing into the sender's thread, which alone calls `wait` and `take_stored`.

    The cycle's and the plugins' threads, and paho's network thread, call the others.
    """

    def __init__(self) -> None:
        self._stored: queue.SimpleQueue[Stored] = queue.SimpleQueue()
        self._wake = threading.Event()

    def wake(self) -> None:
        """Let the sender look again now: there is something to send, or room for it."""
        self._wake.set()

    def put_stored(self, stored: Stored) -> None:
        """Pass on which readings the hub has stored."""
        self._stored.put(stored)
        self._wake.set()

    def wait(self, timeout_s: float) -> None:
        """Wait for a wake-up."""
        self._wake.wait(timeout_s)
        self._wake.clear()

    def take_stored(self) -> Iterator[Stored]:
        """Yield the acknowledgements that have arrived."""
        while not self._stored.empty():
            yield self._stored.get()
