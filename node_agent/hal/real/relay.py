"""A real relay on a GPIO pin, through RPi.GPIO."""

from typing import Any

from node_agent.hal.errors import DeviceUnavailableError, HardwareNotInstalledError
from node_agent.hal.real import library
from node_agent.hal.real.handle import Handle


class GpioRelay:
    """The relay called `name` on BCM `pin`; its coil closes on a low level where `active_low`.

    The pin is at the released level before it becomes an output, and stays a driven output at that
    level when the relay is closed: an input would leave the coil to chance.
    """

    def __init__(self, name: str, pin: int, *, active_low: bool) -> None:
        self._pin = pin
        self._active_low = active_low
        self._handle: Handle[Any] = Handle(f"the {name} relay", self._open, self._release)

    def set(self, *, on: bool) -> None:
        with self._handle.use() as gpio:
            try:
                gpio.output(self._pin, self._level(gpio, on=on))
            except RuntimeError as e:
                raise DeviceUnavailableError(f"the relay at gpio{self._pin}: {e}") from e

    def close(self) -> None:
        self._handle.close()

    def _open(self) -> Any:
        gpio = library.load("RPi.GPIO")
        try:
            # The pin of an agent that was killed is an output still: that is no news.
            gpio.setwarnings(False)
            gpio.setmode(gpio.BCM)
            # `initial` is written before the direction is (RPi.GPIO 0.7.1, setup_one).
            gpio.setup(self._pin, gpio.OUT, initial=self._level(gpio, on=False))
        except (RuntimeError, ValueError) as e:
            raise HardwareNotInstalledError(
                f"gpio{self._pin}: {e}: join the group gpio, or run as root"
            ) from e
        return gpio

    def _release(self, gpio: Any) -> None:
        gpio.output(self._pin, self._level(gpio, on=False))

    def _level(self, gpio: Any, *, on: bool) -> Any:
        return gpio.LOW if on == self._active_low else gpio.HIGH
