"""Wall clock that tests move ahead."""

import time

import pytest


class WallClock:
    """Unix time of this process, ahead of the machine's."""

    def __init__(self) -> None:
        self._ahead_ns = 0
        self._time_ns = time.time_ns

    def __call__(self) -> int:
        return self._time_ns() + self._ahead_ns

    def advance(self, seconds: float) -> None:
        self._ahead_ns += int(seconds * 1e9)


@pytest.fixture
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    clock = WallClock()
    monkeypatch.setattr(time, "time_ns", clock)
    return clock
