"""A real WS2812B strip on a PWM, PCM or SPI pin, through rpi_ws281x."""

import atexit
from collections.abc import Sequence
from typing import Any

from bus.config.settings import ColorOrder
from node_agent.hal.capabilities import Color
from node_agent.hal.errors import DeviceUnavailableError, HardwareNotInstalledError
from node_agent.hal.pixels import whole_strip
from node_agent.hal.real import library
from node_agent.hal.real.handle import Handle
from node_agent.hal.real.stderr_filter import StderrFilter

# The pins on the second PWM channel (rpi_ws281x README, "GPIO usage"); all others are on the first.
_SECOND_CHANNEL_PINS = frozenset((13, 19))
# Strip types of rpi_ws281x (ws2811.h, WS2811_STRIP_RGB and so on): shifts of red, green and blue.
STRIP_TYPES: dict[ColorOrder, int] = {
    "RGB": 0x00100800,
    "RBG": 0x00100008,
    "GRB": 0x00081000,
    "GBR": 0x00080010,
    "BRG": 0x00001008,
    "BGR": 0x00000810,
}


class Ws281xStrip:
    """`count` pixels on BCM `pin` that take colours in `order`, dimmed to `brightness` of 255."""

    def __init__(self, *, count: int, pin: int, brightness: int, order: ColorOrder = "GRB") -> None:
        self._count = count
        self._pin = pin
        self._brightness = brightness
        self._strip_type = STRIP_TYPES[order]
        # Made once: what the C library allocates for each is never freed where it did not begin.
        self._strip: Any = None
        self._stderr = StderrFilter()
        self._handle: Handle[Any] = Handle(f"the LED strip at gpio{pin}", self._open, self._darken)

    def show(self, pixels: Sequence[Color]) -> None:
        wanted = whole_strip(pixels, self._count)
        with self._handle.use() as strip:
            self._write(strip, wanted)

    def close(self) -> None:
        """Darken the strip, where it was ever lit."""
        self._handle.close()

    def _open(self) -> Any:
        if self._strip is None:
            self._strip = self._make()
        strip = self._strip
        try:
            with self._stderr.repeats_removed():
                strip.begin()
        except RuntimeError as e:
            # A strip that did not begin crashes the interpreter in its own clean-up at exit.
            atexit.unregister(strip._cleanup)  # noqa: SLF001 - no public way
            raise HardwareNotInstalledError(
                f"the LED strip at gpio{self._pin}: {e}: it needs root and a pin that can do PWM"
            ) from e
        return strip

    def _make(self) -> Any:
        return library.load("rpi_ws281x").PixelStrip(
            self._count,
            self._pin,
            brightness=self._brightness,
            channel=1 if self._pin in _SECOND_CHANNEL_PINS else 0,
            strip_type=self._strip_type,
        )

    def _darken(self, strip: Any) -> None:
        self._write(strip, whole_strip((), self._count))

    def _write(self, strip: Any, pixels: Sequence[Color]) -> None:
        for index, (red, green, blue) in enumerate(pixels):
            strip.setPixelColorRGB(index, red, green, blue)
        try:
            strip.show()
        except RuntimeError as e:
            raise DeviceUnavailableError(f"the LED strip at gpio{self._pin}: {e}") from e
