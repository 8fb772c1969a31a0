"""Real digital pins of the 40-pin header."""

import threading

from node_agent.hal.errors import HardwareNotInstalledError
from node_agent.hal.gpio import InputMode, no_input
from node_agent.hal.real.handle import Handle
from node_agent.hal.real.lines.lines import Lines, open_lines


class _EdgeCounter:
    """Count of the edges of one input. The driver's thread adds, any thread reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def add(self) -> None:
        with self._lock:
            self._count += 1

    @property
    def count(self) -> int:
        with self._lock:
            return self._count


class RaspberryGpio:
    """The pins of the 40-pin header.

    An output is at its level before it becomes one. When closed, outputs are left at their safe
    levels, driven where the kernel allows it: as inputs they would leave what they switch to
    chance. Inputs are given back.
    """

    def __init__(self) -> None:
        self._handle: Handle[Lines] = Handle("gpio", open_lines, self._release)
        self._inputs: dict[int, InputMode] = {}
        # They go on counting where an input is set up anew.
        self._counters: dict[int, _EdgeCounter] = {}
        # Why the edges of an input are not counted.
        self._uncounted: dict[int, str] = {}
        self._safe_levels: dict[int, bool] = {}

    def set_input(self, pin: int, mode: InputMode) -> None:
        with self._handle.use() as lines:
            if self._inputs.get(pin) == mode:
                return
            counter = self._counters.setdefault(pin, _EdgeCounter())
            self._inputs.pop(pin, None)
            self._uncounted[pin] = lines.set_input(pin, mode, counter.add)
            self._inputs[pin] = mode
            self._safe_levels.pop(pin, None)

    def is_high(self, pin: int) -> bool:
        with self._handle.use() as lines:
            if pin not in self._inputs:
                raise no_input(pin)
            return lines.is_high(pin)

    def edges(self, pin: int) -> int:
        with self._handle.use():
            if pin not in self._inputs:
                raise no_input(pin)
            if reason := self._uncounted[pin]:
                raise HardwareNotInstalledError(reason)
            return self._counters[pin].count

    def drive(self, pin: int, *, high: bool, safe_high: bool) -> None:
        with self._handle.use() as lines:
            self._inputs.pop(pin, None)
            lines.drive(pin, high=high, safe_high=safe_high)
            self._safe_levels[pin] = safe_high

    def close(self) -> None:
        self._handle.close()

    def _release(self, lines: Lines) -> None:
        # Outputs first, before anything that could fail.
        for pin, safe_high in self._safe_levels.items():
            lines.drive(pin, high=safe_high, safe_high=safe_high)
        lines.close()
