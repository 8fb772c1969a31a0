"""Clock of the hub: wall time that moves with the monotonic clock and follows when it is set."""

import time
from collections.abc import Callable

from bus.clock import now_ms

# Smaller steps are NTP's own adjustments.
_JUMP_MS = 2000


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class HubClock:
    """Unix milliseconds that jump only in `follow`, so that presence can be moved with them."""

    def __init__(
        self,
        wall_ms: Callable[[], int] = now_ms,
        monotonic_ms: Callable[[], int] = _monotonic_ms,
    ) -> None:
        self._wall_ms = wall_ms
        self._monotonic_ms = monotonic_ms
        self._offset_ms = wall_ms() - monotonic_ms()

    def __call__(self) -> int:
        return self._monotonic_ms() + self._offset_ms

    def follow(self) -> int:
        """Adopt the wall clock where it was set; return by how many milliseconds, mostly 0."""
        delta_ms = self._wall_ms() - self()
        if abs(delta_ms) <= _JUMP_MS:
            return 0
        self._offset_ms += delta_ms
        return delta_ms
