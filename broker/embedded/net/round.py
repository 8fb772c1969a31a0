"""Round of the event loop: the buffer that connections read into, and their writes at its end."""

import asyncio
from collections import deque
from typing import Protocol

# Bytes read at a time.
READ_BYTES = 16 * 1024
# Connections that are written to in one step.
_WRITES = 100


class Writing(Protocol):
    """A connection with packets to write."""

    def flush(self) -> None:
        """Write them."""


class Round:
    """Shared by the connections of one loop, of which one at a time reads.

    What is read into `buffer` is copied at once.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.buffer = memoryview(bytearray(READ_BYTES))
        self._writing: list[Writing] = []
        self._is_reading = False
        self._is_scheduled = False
        # The callbacks of this round that are still to run; other loops do not show theirs.
        self._ready: deque[object] | None = getattr(self._loop, "_ready", None)

    def begin(self) -> None:
        """Begin to handle what one connection has read."""
        self._is_reading = True

    def end(self) -> None:
        """Write at once where nothing else is to be done in this round, or else at its end."""
        self._is_reading = False
        if self._writing:
            if self._ready is not None and not self._ready:
                self._flush()
            else:
                self._schedule()

    def add(self, connection: Writing) -> None:
        """Flush a connection at the end of the round."""
        self._writing.append(connection)
        if not self._is_reading:
            self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._flush_scheduled)

    def _flush_scheduled(self) -> None:
        self._is_scheduled = False
        self._flush()

    def _flush(self) -> None:
        writing = self._writing[:_WRITES]
        del self._writing[:_WRITES]
        if self._writing:
            # Thousands of nodes get their answers at once.
            self._schedule()
        for connection in writing:
            connection.flush()
