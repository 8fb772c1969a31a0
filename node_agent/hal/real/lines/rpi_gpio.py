"""Digital lines through RPi.GPIO, or through rpi-lgpio, which has the same name and interface."""

from collections.abc import Callable
from typing import Any

from node_agent.hal.errors import DeviceUnavailableError, HardwareNotInstalledError
from node_agent.hal.gpio import InputMode
from node_agent.hal.real import library

# RPi.GPIO 0.7.1 looks for the pin's number in /sys/class/gpio, where Linux 6.6 renumbered the pins
# (raspberrypi/linux issue 6037).
_REMEDY = (
    "RPi.GPIO counts no edges since Linux 6.6; the library gpiod does, and rpi-lgpio in its place: "
    "pip install gpiod"
)


class RpiGpioLines:
    """The lines by BCM number. Raises HardwareNotInstalledError where RPi.GPIO does not run."""

    def __init__(self) -> None:
        self._gpio: Any = library.load("RPi.GPIO")
        self._inputs: set[int] = set()
        self._outputs: set[int] = set()
        try:
            # The pin of an agent that was killed is an output still: that is no news.
            self._gpio.setwarnings(False)
            self._gpio.setmode(self._gpio.BCM)
        except (RuntimeError, ValueError) as e:
            raise HardwareNotInstalledError(f"gpio: {e}") from e

    def set_input(self, pin: int, mode: InputMode, on_edge: Callable[[], object]) -> str:
        gpio = self._gpio
        pulls = {"up": gpio.PUD_UP, "down": gpio.PUD_DOWN, "none": gpio.PUD_OFF}
        self._stop_counting(pin)
        try:
            gpio.setup(pin, gpio.IN, pull_up_down=pulls[mode.pull])
        except (RuntimeError, ValueError) as e:
            raise _refused(pin, e) from e
        self._outputs.discard(pin)
        self._inputs.add(pin)
        return self._count_edges(pin, mode, on_edge)

    def is_high(self, pin: int) -> bool:
        try:
            return bool(self._gpio.input(pin))
        except RuntimeError as e:
            raise DeviceUnavailableError(f"gpio{pin}: {e}") from e

    def drive(self, pin: int, *, high: bool, safe_high: bool) -> None:  # noqa: ARG002 - see close
        gpio = self._gpio
        level = gpio.HIGH if high else gpio.LOW
        if pin in self._outputs:
            try:
                gpio.output(pin, level)
            except RuntimeError as e:
                raise DeviceUnavailableError(f"gpio{pin}: {e}") from e
            return
        self._stop_counting(pin)
        try:
            # `initial` is written before the direction is (RPi.GPIO 0.7.1, setup_one).
            gpio.setup(pin, gpio.OUT, initial=level)
        except (RuntimeError, ValueError) as e:
            raise _refused(pin, e) from e
        self._outputs.add(pin)

    def close(self) -> None:
        """Give back the inputs. An output stays driven: RPi.GPIO writes registers of the chip."""
        for pin in tuple(self._inputs):
            self._stop_counting(pin)
            self._gpio.cleanup(pin)
        self._outputs.clear()

    def _count_edges(self, pin: int, mode: InputMode, on_edge: Callable[[], object]) -> str:
        gpio = self._gpio
        edges = {"rising": gpio.RISING, "falling": gpio.FALLING, "both": gpio.BOTH}
        # It refuses a bounce time of 0.
        bounce = {"bouncetime": mode.debounce_ms} if mode.debounce_ms else {}
        try:
            gpio.add_event_detect(pin, edges[mode.edge], callback=lambda _: on_edge(), **bounce)
        except RuntimeError as e:
            return f"gpio{pin}: {e}: {_REMEDY}"
        return ""

    def _stop_counting(self, pin: int) -> None:
        if pin in self._inputs:
            self._inputs.remove(pin)
            self._gpio.remove_event_detect(pin)


def _refused(pin: int, error: Exception) -> HardwareNotInstalledError:
    return HardwareNotInstalledError(f"gpio{pin}: {error}: join the group gpio, or run as root")
