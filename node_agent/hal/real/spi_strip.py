"""A real WS2812B strip on pin 10 (MOSI of SPI0), through the kernel's spidev.

Each bit of a colour is four bits on the wire at 3.2 MHz, 312.5 ns each: 1000 is a 0, 1110 a 1.
Worldsemi WS2812B and WS2812B-V5 data sheets, "Data transfer time":

    |     | sent    | WS2812B     | WS2812B-V5  |
    | T0H |  312 ns | 250..550 ns | 220..380 ns |
    | T0L |  938 ns | 700..1000   | 580..1000   |
    | T1H |  938 ns | 650..950    | 580..1000   |
    | T1L |  312 ns | 300..600    | 220..420    |
    | RES |  350 us | > 50 us     | > 280 us    |
"""

from collections.abc import Sequence
from typing import Any

from bus.config.key_types import SPI0_MOSI_PIN
from bus.config.settings import ColorOrder
from node_agent.hal.capabilities import Color
from node_agent.hal.errors import DeviceUnavailableError, HardwareNotInstalledError
from node_agent.hal.pixels import whole_strip
from node_agent.hal.real import library
from node_agent.hal.real.handle import Handle
from node_agent.hal.real.spi_bus import REMEDY

_BUS, _SELECT = 0, 0
_DEVICE = f"/dev/spidev{_BUS}.{_SELECT}"
_SPEED_HZ = 3_200_000
_ZERO, _ONE = 0b1000, 0b1110
# 350 us low, before the colours too: the line's level between two transfers is not ours.
_RESET = bytes(140)


def _waveform(value: int) -> bytes:
    bits = (_ONE if value >> shift & 1 else _ZERO for shift in range(7, -1, -1))
    wire = 0
    for bit in bits:
        wire = wire << 4 | bit
    return wire.to_bytes(4, "big")


_WAVEFORMS = [_waveform(value) for value in range(256)]


def frame(pixels: Sequence[Color], *, brightness: int, order: ColorOrder) -> bytes:
    """Return the bytes that show `pixels`, dimmed to `brightness` of 255."""
    # As rpi_ws281x dims (ws2811.c, ws2811_render), so that a strip looks the same with either.
    scale = brightness + 1
    channels = ["RGB".index(letter) for letter in order]
    colors = (_WAVEFORMS[pixel[channel] * scale >> 8] for pixel in pixels for channel in channels)
    return _RESET + b"".join(colors) + _RESET


class SpiStrip:
    """`count` pixels that take colours in `order`, dimmed to `brightness` of 255."""

    def __init__(self, *, count: int, pin: int, brightness: int, order: ColorOrder = "GRB") -> None:
        self._count = count
        self._pin = pin
        self._brightness = brightness
        self._order: ColorOrder = order
        self._handle: Handle[Any] = Handle(f"the LED strip at gpio{pin}", self._open, self._release)

    def show(self, pixels: Sequence[Color]) -> None:
        wanted = whole_strip(pixels, self._count)
        with self._handle.use() as spi:
            self._write(spi, wanted)

    def close(self) -> None:
        """Darken the strip, where it was ever lit."""
        self._handle.close()

    def _open(self) -> Any:
        if self._pin != SPI0_MOSI_PIN:
            raise HardwareNotInstalledError(
                f"the LED strip at gpio{self._pin}: this machine drives a strip through SPI only: "
                f"connect its data line to GPIO {SPI0_MOSI_PIN} and set leds.pin = {SPI0_MOSI_PIN}"
            )
        spi = library.load("spidev").SpiDev()
        try:
            spi.open(_BUS, _SELECT)
            spi.max_speed_hz = _SPEED_HZ
            spi.mode = 0
        except OSError as e:
            spi.close()
            raise library.missing_file(_DEVICE, e, REMEDY) from e
        return spi

    def _release(self, spi: Any) -> None:
        try:
            self._write(spi, whole_strip((), self._count))
        finally:
            spi.close()

    def _write(self, spi: Any, pixels: Sequence[Color]) -> None:
        data = frame(pixels, brightness=self._brightness, order=self._order)
        try:
            # In one transfer: a gap of 50 us would be the end of the frame. 256 pixels are 3352
            # bytes, of which spidev takes 4096 at once.
            spi.writebytes2(data)
        except OSError as e:
            raise DeviceUnavailableError(
                f"the LED strip at gpio{self._pin}: {_DEVICE}: {e.strerror or e}"
            ) from e
