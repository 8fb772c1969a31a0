"""Newest log lines of one node, bounded in number and in size."""

from collections import deque
from collections.abc import Iterator

from hub_app.live.change import Change

LOG_LINES_PER_NODE = 500
# What a line costs beside its message, roughly.
_OVERHEAD_BYTES = 200


class LogLines:
    """Ring of log lines; the oldest go where there are too many, or too many bytes of them."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lines: deque[Change] = deque()

    def __iter__(self) -> Iterator[Change]:
        return iter(self._lines)

    def append(self, line: Change) -> None:
        self._lines.append(line)
        self._bytes += _size_of(line)
        while len(self._lines) > LOG_LINES_PER_NODE or self._bytes > self._most_bytes:
            self._bytes -= _size_of(self._lines.popleft())

    def newest(self, count: int) -> list[Change]:
        """Return the `count` newest lines, oldest first."""
        return list(self._lines)[-count:] if count else []


def _size_of(line: Change) -> int:
    return len(line.value.message.encode()) + _OVERHEAD_BYTES
