"""A device's handle: opened at first use, used by one thread at a time, never after it is closed.

It knows no device: how one is opened and let go of comes in through the constructor.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from node_agent.hal.errors import DeviceUnavailableError

T = TypeVar("T")


class Handle(Generic[T]):
    """The result of `acquire`, kept until `release` gets it; errors use `name`."""

    def __init__(self, name: str, acquire: Callable[[], T], release: Callable[[T], object]) -> None:
        self._name = name
        self._acquire = acquire
        self._release = release
        # Re-entrant: a user that finds its device gone drops it from within `use`.
        self._lock = threading.RLock()
        self._held: T | None = None
        self._closed = False

    @contextmanager
    def use(self) -> Iterator[T]:
        """Lend the device to this thread; others wait. Raises what `acquire` raises."""
        with self._lock:
            if self._closed:
                raise DeviceUnavailableError(f"{self._name} is closed")
            if self._held is None:
                self._held = self._acquire()
            yield self._held

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
