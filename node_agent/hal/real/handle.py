"""A device's handle: opened at first use, used by one thread at a time, never after it is closed.

It knows no device: how one is opened and let go of comes in through the constructor.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from bus.client.backoff import Backoff
from bus.errors import HarvesterError
from node_agent.hal.errors import DeviceUnavailableError

T = TypeVar("T")


# An attempt to open costs memory and lines in the log; a person plugs in a device within minutes.
_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 60.0


class Handle(Generic[T]):
    """What `acquire` returned, kept until `release` gets it; `name` is how errors call it.

    What `acquire` raises is kept as well, and raised again until the next attempt is due.
    """

    def __init__(
        self,
        name: str,
        acquire: Callable[[], T],
        release: Callable[[T], object],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._acquire = acquire
        self._release = release
        # Re-entrant: a user that finds its device gone drops it from within `use`.
        self._lock = threading.RLock()
        self._held: T | None = None
        self._closed = False
        self._monotonic_s = monotonic_s
        self._backoff = Backoff(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        self._refusal: HarvesterError | None = None
        self._retry_at_s = 0.0

    @contextmanager
    def use(self) -> Iterator[T]:
        """Lend the device to this thread; others wait. Raises what `acquire` raises."""
        with self._lock:
            if self._closed:
                raise DeviceUnavailableError(f"{self._name} is closed")
            if self._held is None:
                self._held = self._open()
            yield self._held

    def _open(self) -> T:
        if self._refusal is not None and self._monotonic_s() < self._retry_at_s:
            # A new one: each raise adds a traceback to its instance.
            raise type(self._refusal)(*self._refusal.args) from self._refusal
        try:
            held = self._acquire()
        except HarvesterError as e:
            self._refusal = e.with_traceback(None)
            self._retry_at_s = self._monotonic_s() + self._backoff.next_s()
            raise
        self._refusal = None
        self._backoff.reset()
        return held

    def drop(self) -> None:
        """Let go of a device that went away, so that the next use opens it anew."""
        with self._lock:
            held, self._held = self._held, None
            if held is not None:
                self._release(held)

    def close(self) -> None:
        """Let go of the device for good. Twice is fine."""
        with self._lock:
            self._closed = True
            self.drop()
