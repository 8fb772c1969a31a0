"""Pixel check for LED strips, the same for real and simulated ones."""

from collections.abc import Sequence

from node_agent.hal.capabilities import BLACK, Color
from node_agent.hal.errors import BadDeviceDataError


def whole_strip(pixels: Sequence[Color], count: int) -> tuple[Color, ...]:
    """Return `count` pixels, those that `pixels` leaves out black.

    Raises BadDeviceDataError where there are more than the strip has, or a channel is not 0 to 255.
    """
    if len(pixels) > count:
        raise BadDeviceDataError(f"found {len(pixels)} pixels, expected at most {count}")
    for index, pixel in enumerate(pixels):
        if not all(0 <= channel <= 255 for channel in pixel):
            raise BadDeviceDataError(f"pixel {index}: found {tuple(pixel)}, expected 0 to 255 each")
    return (*pixels, *(BLACK,) * (count - len(pixels)))
