"""Poll requests from the cycle to a plugin's thread."""

import contextlib
import threading
import time
from collections.abc import Iterator


class PollSignal:
    """The one crossing between the cycle's thread, which requests polls, and a plugin's thread.

    The cycle's thread calls `request`, `wait_idle`, `busy_s` and `stop`; the plugin's thread calls
    `wait_for_request`, `polling` and `end`. Each attribute has one writer, but for the events.
    """

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._idle = threading.Event()
        self._stopping = False
        self._busy_since_s: float | None = None

    def request(self) -> None:
        """Ask for one poll, unless the last one still runs."""
        if self._busy_since_s is None:
            self._idle.clear()
            self._requested.set()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait for the end of the requested poll; return whether it came in time."""
        return self._idle.wait(timeout_s)

    def busy_s(self) -> float:
        """Return for how long the present poll has run, 0 where none runs."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def stop(self) -> None:
        """Let `wait_for_request` return False from now on."""
        self._stopping = True
        self._requested.set()

    def wait_for_request(self) -> bool:
        """Wait for a request; return False when the thread has to end instead."""
        self._requested.wait()
        self._requested.clear()
        return not self._stopping

    @contextlib.contextmanager
    def polling(self) -> Iterator[None]:
        """Mark the plugin as busy inside the context."""
        self._busy_since_s = time.monotonic()
        try:
            yield
        finally:
            self._busy_since_s = None
            self._idle.set()

    def end(self) -> None:
        """Release the waiting cycle: no poll will follow."""
        self._idle.set()
