"""The LEDs on the front of a Revolution Pi, as a strip of as many pixels."""

import threading
from collections.abc import Sequence

from bus.errors import HarvesterError
from node_agent.hal.capabilities import BLACK, Color
from node_agent.hal.errors import DeviceUnavailableError, HardwareNotInstalledError
from node_agent.hal.pixels import whole_strip
from node_agent.hal.real.revpi.pi_control import DEVICE, PiControl, Variable

NAME = "RevPiLED"
# Bits of red, green and blue of A1, A2 and so on, by the variable's length in bits; None: the LED
# lacks that colour. Connect 4 and 5 have 16 bits (revpimodio2, device.py, ModularBaseConnect_4_5);
# the devices before them have 8 (piControl.h, PICONTROL_LED_A1_GREEN and so on).
LEDS: dict[int, tuple[tuple[int | None, int | None, int | None], ...]] = {
    16: ((0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11), (12, 13, 14)),
    8: ((1, 0, None), (3, 2, None), (5, 4, None)),
}


def lit(pixel: Color) -> list[bool]:
    """Return the colours to light: those with at least half of the brightest one's level.

    These LEDs are on or off, so orange becomes yellow and a dim white becomes white.
    """
    brightest = max(pixel)
    return [channel > 0 and brightest <= 2 * channel for channel in pixel]


class FrontLeds:
    """`count` LEDs from A1 on. Those beyond `count`, and all other outputs, are left alone."""

    def __init__(self, pi_control: PiControl, count: int) -> None:
        self._pi_control = pi_control
        self._count = count
        self._lock = threading.Lock()
        # Bits as they were last set, until an error: a driver that was reset has forgotten them.
        self._bits: dict[int, bool] = {}
        self._was_used = False
        self._closed = False

    def show(self, pixels: Sequence[Color]) -> None:
        wanted = whole_strip(pixels, self._count)
        with self._lock:
            if self._closed:
                raise DeviceUnavailableError("the LEDs of the Revolution Pi are closed")
            self._show(wanted)
            self._was_used = True

    def close(self) -> None:
        """Darken the LEDs, where they were ever lit. Twice is fine."""
        with self._lock:
            if self._was_used and not self._closed:
                self._show([BLACK] * self._count)
            self._closed = True

    def _show(self, pixels: Sequence[Color]) -> None:
        try:
            self._write(pixels)
        except HarvesterError:
            self._bits.clear()
            raise

    def _write(self, pixels: Sequence[Color]) -> None:
        variable = self._pi_control.find(NAME)
        leds = LEDS.get(variable.length_bits, ())
        if self._count > len(leds):
            raise HardwareNotInstalledError(
                f"{DEVICE}: found {len(leds)} LEDs in {NAME}, expected leds.count = {self._count}"
            )
        for bits, pixel in zip(leds, pixels, strict=False):
            for bit, on in zip(bits, lit(pixel), strict=True):
                self._set_bit(variable, bit, on=on)

    def _set_bit(self, variable: Variable, bit: int | None, *, on: bool) -> None:
        if bit is not None and self._bits.get(bit) is not on:
            self._pi_control.set_bit(variable, bit, on=on)
            self._bits[bit] = on
