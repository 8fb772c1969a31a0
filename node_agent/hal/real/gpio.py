"""Real digital pins, through RPi.GPIO."""

import threading
from typing import Any

from node_agent.hal.errors import DeviceUnavailableError, HardwareNotInstalledError
from node_agent.hal.gpio import InputMode, no_input
from node_agent.hal.real import library
from node_agent.hal.real.handle import Handle

# RPi.GPIO 0.7.1 looks for the pin's number in /sys/class/gpio, where Linux 6.6 renumbered the pins
# (raspberrypi/linux issue 6037).
_REMEDY = (
    "RPi.GPIO counts no edges since Linux 6.6; rpi-lgpio, installed in its place, does: "
    "pip uninstall RPi.GPIO && pip install rpi-lgpio"
)


class _EdgeCounter:
    """Count of the edges of one input. RPi.GPIO's thread adds, any thread reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def add(self, _channel: int) -> None:
        with self._lock:
            self._count += 1

    @property
    def count(self) -> int:
        with self._lock:
            return self._count


class RaspberryGpio:
    """The pins of the 40-pin header.

    An output is at its level before it becomes one. When closed, outputs stay driven, at their safe
    levels: as inputs they would leave what they switch to chance. Inputs are given back.
    """

    def __init__(self) -> None:
        self._handle: Handle[Any] = Handle("gpio", self._open, self._release)
        self._inputs: dict[int, InputMode] = {}
        # They go on counting where an input is set up anew.
        self._counters: dict[int, _EdgeCounter] = {}
        # Why the edges of an input are not counted.
        self._uncounted: dict[int, str] = {}
        self._safe_levels: dict[int, bool] = {}

    def set_input(self, pin: int, mode: InputMode) -> None:
        with self._handle.use() as gpio:
            if self._inputs.get(pin) == mode:
                return
            pulls = {"up": gpio.PUD_UP, "down": gpio.PUD_DOWN, "none": gpio.PUD_OFF}
            try:
                if pin in self._inputs:
                    gpio.remove_event_detect(pin)
                gpio.setup(pin, gpio.IN, pull_up_down=pulls[mode.pull])
            except (RuntimeError, ValueError) as e:
                raise _refused(pin, e) from e
            self._count_edges(gpio, pin, mode)
            self._inputs[pin] = mode
            self._safe_levels.pop(pin, None)

    def is_high(self, pin: int) -> bool:
        with self._handle.use() as gpio:
            if pin not in self._inputs:
                raise no_input(pin)
            try:
                return bool(gpio.input(pin))
            except RuntimeError as e:
                raise DeviceUnavailableError(f"gpio{pin}: {e}") from e

    def edges(self, pin: int) -> int:
        with self._handle.use():
            if pin not in self._inputs:
                raise no_input(pin)
            if pin in self._uncounted:
                raise HardwareNotInstalledError(self._uncounted[pin])
            return self._counters[pin].count

    def drive(self, pin: int, *, high: bool, safe_high: bool) -> None:
        with self._handle.use() as gpio:
            level = gpio.HIGH if high else gpio.LOW
            try:
                if pin in self._safe_levels:
                    gpio.output(pin, level)
                else:
                    self._give_back_input(gpio, pin)
                    # `initial` is written before the direction is (RPi.GPIO 0.7.1, setup_one).
                    gpio.setup(pin, gpio.OUT, initial=level)
            except (RuntimeError, ValueError) as e:
                raise _refused(pin, e) from e
            self._safe_levels[pin] = safe_high

    def close(self) -> None:
        self._handle.close()

    def _open(self) -> Any:
        gpio = library.load("RPi.GPIO")
        try:
            # The pin of an agent that was killed is an output still: that is no news.
            gpio.setwarnings(False)
            gpio.setmode(gpio.BCM)
        except (RuntimeError, ValueError) as e:
            raise HardwareNotInstalledError(f"gpio: {e}") from e
        return gpio

    def _count_edges(self, gpio: Any, pin: int, mode: InputMode) -> None:
        """Let RPi.GPIO count; where it cannot, the level can still be read."""
        edges = {"rising": gpio.RISING, "falling": gpio.FALLING, "both": gpio.BOTH}
        counter = self._counters.setdefault(pin, _EdgeCounter())
        # It refuses a bounce time of 0.
        bounce = {"bouncetime": mode.debounce_ms} if mode.debounce_ms else {}
        self._uncounted.pop(pin, None)
        try:
            gpio.add_event_detect(pin, edges[mode.edge], callback=counter.add, **bounce)
        except RuntimeError as e:
            self._uncounted[pin] = f"gpio{pin}: {e}: {_REMEDY}"

    def _give_back_input(self, gpio: Any, pin: int) -> None:
        if self._inputs.pop(pin, None) is not None:
            gpio.remove_event_detect(pin)

    def _release(self, gpio: Any) -> None:
        # Outputs first, before anything that could fail.
        for pin, safe_high in self._safe_levels.items():
            gpio.output(pin, gpio.HIGH if safe_high else gpio.LOW)
        for pin in list(self._inputs):
            self._give_back_input(gpio, pin)
            gpio.cleanup(pin)


def _refused(pin: int, error: Exception) -> HardwareNotInstalledError:
    return HardwareNotInstalledError(f"gpio{pin}: {error}: join the group gpio, or run as root")
