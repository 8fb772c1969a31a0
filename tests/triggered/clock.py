"""Clock of simulated hardware that jumps at a signal, to where a fault begins or ends.

However long a program takes to start or to answer, a test sees its devices work before a fault, and
the fault before its end.
"""

import signal
import time
from types import FrameType

from node_agent.hal.simulated import board

TRIGGER = signal.SIGUSR1
# The scenario's time at the first signal; at the second it is twice that, and so on.
JUMP_S = 10_000.0


class JumpingClock:
    """The monotonic clock of the simulated hardware, in place of the module `time`."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()
        self._ahead_s = 0.0
        self._jumps = 0

    def monotonic(self) -> float:
        return time.monotonic() - self._start_s + self._ahead_s

    def jump(self, _signal: int, _frame: FrameType | None) -> None:
        self._jumps += 1
        self._ahead_s += self._jumps * JUMP_S - self.monotonic()


def install() -> None:
    """Give this clock to the hardware that is opened next."""
    clock = JumpingClock()
    signal.signal(TRIGGER, clock.jump)
    board.time = clock  # type: ignore[assignment]
