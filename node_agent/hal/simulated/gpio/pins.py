"""Simulated digital pins: inputs that a scenario drives, and outputs with a log of their levels."""

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.gpio import InputMode, no_input
from node_agent.hal.simulated.gpio.signal import InputSignal, Transition
from node_agent.hal.simulated.recorder import Recorder

# More than any test or demonstration looks back at.
_REMEMBERED = 10_000


class OutputEvent(NamedTuple):
    """One level that was driven; `at_s` is in the scenario's time."""

    at_s: float
    pin: int
    high: bool


class SimulatedGpio:
    """All pins of a board. `signals` drives its inputs, by pin; the others are left open."""

    def __init__(
        self, signals: Mapping[int, InputSignal], recorder: Recorder, clock: Callable[[], float]
    ) -> None:
        """`clock` gives the scenario's time in s."""
        self._signals = dict(signals)
        self._recorder = recorder
        self._clock = clock
        self._lock = threading.Lock()
        self._inputs: dict[int, _Input] = {}
        self._levels: dict[int, bool] = {}
        self._safe_levels: dict[int, bool] = {}
        self._events: deque[OutputEvent] = deque(maxlen=_REMEMBERED)
        self._closed = False

    @property
    def levels(self) -> dict[int, bool]:
        """Levels of the outputs, by pin."""
        with self._lock:
            return dict(self._levels)

    @property
    def events(self) -> tuple[OutputEvent, ...]:
        with self._lock:
            return tuple(self._events)

    def set_input(self, pin: int, mode: InputMode) -> None:
        with self._lock:
            self._check_open()
            found = self._inputs.get(pin)
            if found is not None and found.mode == mode:
                return
            now_s = self._clock()
            counted = 0 if found is None else found.edges(now_s)
            signal = self._signals.get(pin, InputSignal())
            self._inputs[pin] = _Input(signal, mode, now_s, counted)
            self._levels.pop(pin, None)
            self._safe_levels.pop(pin, None)

    def is_high(self, pin: int) -> bool:
        return self._input(pin).is_high(self._clock())

    def edges(self, pin: int) -> int:
        return self._input(pin).edges(self._clock())

    def drive(self, pin: int, *, high: bool, safe_high: bool) -> None:
        with self._lock:
            self._check_open()
            self._inputs.pop(pin, None)
            self._safe_levels[pin] = safe_high
            self._set_level(pin, high=high)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            for pin, safe_high in self._safe_levels.items():
                self._set_level(pin, high=safe_high)
            self._closed = True

    def _input(self, pin: int) -> "_Input":
        with self._lock:
            self._check_open()
            found = self._inputs.get(pin)
        if found is None:
            raise no_input(pin)
        return found

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceUnavailableError("gpio is closed")

    def _set_level(self, pin: int, *, high: bool) -> None:
        if self._levels.get(pin) == high:
            return
        self._levels[pin] = high
        self._events.append(OutputEvent(self._clock(), pin, high))
        self._recorder.record("gpio", pin=pin, high=high)


class _Input:
    """One input from `since_s` on; `counted` edges were there before."""

    def __init__(self, signal: InputSignal, mode: InputMode, since_s: float, counted: int) -> None:
        self.mode = mode
        self._counted = counted
        # An open input without a pull is anything; here it is low.
        idle_high = mode.pull == "up"
        transitions = signal.transitions(idle_high=idle_high)
        self._idle_high = idle_high
        self._times = [t.at_s for t in transitions]
        self._levels = [t.high for t in transitions]
        self._counted_at = _counted_times(transitions, mode, since_s)

    def is_high(self, t_s: float) -> bool:
        place = bisect_right(self._times, t_s)
        return self._levels[place - 1] if place else self._idle_high

    def edges(self, t_s: float) -> int:
        return self._counted + bisect_right(self._counted_at, t_s)


def _counted_times(transitions: list[Transition], mode: InputMode, since_s: float) -> list[float]:
    """Return the times of the edges that count, as RPi.GPIO's thread counts them."""
    wanted = {"rising": (True,), "falling": (False,), "both": (True, False)}[mode.edge]
    times: list[float] = []
    for at_s, high in transitions:
        has_settled = not times or (at_s - times[-1]) * 1000 > mode.debounce_ms
        if at_s > since_s and high in wanted and has_settled:
            times.append(at_s)
    return times
