"""Long works of all connections: a slice of each in turn, for a few milliseconds a round."""

import asyncio
from collections import deque
from collections.abc import Callable

# Time for them in a round of the event loop; a slice that has begun is finished.
_ROUND_S = 0.002


class Works:
    """Runs slices in the order in which they were added, between other work of the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._slices: deque[Callable[[], None]] = deque()
        self._is_scheduled = False

    def add(self, do_slice: Callable[[], None]) -> None:
        """Run a slice in a later round; it adds the next one of its work itself."""
        self._slices.append(do_slice)
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        end_s = self._loop.time() + _ROUND_S
        try:
            while self._slices:
                self._slices.popleft()()
                if self._loop.time() >= end_s:
                    break
        finally:
            self._is_scheduled = False
            if self._slices:
                self._schedule()
