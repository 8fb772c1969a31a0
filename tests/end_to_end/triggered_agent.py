"""`node-agent` on simulated hardware whose scenario jumps to its faults at SIGUSR1.

However long an agent takes to start, a test has seen its devices work before their faults begin.
"""

import signal
import time
from types import FrameType

from node_agent import cli
from node_agent.hal.simulated import board

TRIGGER = signal.SIGUSR1
# The scenario's time at the signal. Nothing comes near it before.
JUMP_S = 10_000.0


class JumpingClock:
    """The monotonic clock of the simulated hardware, in place of the module `time`."""

    def __init__(self) -> None:
        # As the scenario begins now.
        self._start_s = time.monotonic()
        self._ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() - self._start_s + self._ahead_s

    def jump(self, _signal: int, _frame: FrameType | None) -> None:
        """Let the scenario be at `JUMP_S` now. A second signal does nothing."""
        if not self._ahead_s:
            self._ahead_s = JUMP_S - self.monotonic()


def main() -> None:
    clock = JumpingClock()
    signal.signal(TRIGGER, clock.jump)
    board.time = clock  # type: ignore[assignment]
    cli.main()


if __name__ == "__main__":
    main()
