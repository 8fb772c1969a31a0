"""Cost meter of one plugin: its polls and failures, their times, memory and host calls."""

import threading
from collections import deque

from bus.contract.bounds import LONGEST_CYCLE_MS
from bus.contract.messages import PluginCost

_NEWEST = 512
_MB = 1 << 20


class CostMeter:
    """Costs since the program's start, over all instances. Any thread may call."""

    def __init__(self) -> None:
        self._order = threading.Lock()
        self._polls = self._failures = self._host_calls = 0
        self._times_ms: deque[float] = deque(maxlen=_NEWEST)
        self._memory_bytes = 0

    @property
    def polls(self) -> int:
        """The number of polls that are over."""
        return self._polls

    def polled(self, took_s: float, host_calls: int, *, failed: bool) -> None:
        """Count a poll that is over."""
        with self._order:
            self._polls += 1
            self._failures += failed
            self._host_calls += host_calls
            self._times_ms.append(min(took_s * 1000, LONGEST_CYCLE_MS))

    def saw_memory(self, size_bytes: int) -> None:
        """Take the present size of an instance's memory."""
        with self._order:
            self._memory_bytes = max(self._memory_bytes, size_bytes)

    def cost(self) -> PluginCost:
        with self._order:
            times_ms = sorted(self._times_ms)
            return PluginCost(
                polls=self._polls,
                failures=self._failures,
                host_calls=self._host_calls,
                p50_ms=quantile(times_ms, 0.5),
                p99_ms=quantile(times_ms, 0.99),
                memory_mb=round(self._memory_bytes / _MB, 1) if self._memory_bytes else None,
            )


def quantile(ordered: list[float], share: float) -> float:
    """Return the value that `share` of `ordered` values do not exceed; 0 of none."""
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3)
