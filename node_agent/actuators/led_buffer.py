"""LED buffer: collects pixels of a cycle, which are written to the hardware at most once."""

import threading
from collections.abc import Callable, Collection, Sequence

from bus.errors import BadCommandError
from node_agent.hal.capabilities import BLACK, Color


def from_hex(text: str) -> Color:
    """Return the colour of `#rrggbb`."""
    return Color(*bytes.fromhex(text[1:]))


def to_hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


class LedBuffer:
    """`count` pixels. Any thread may set them."""

    def __init__(self, count: int) -> None:
        self._pixels = [BLACK] * count
        # The strip keeps its colours over a crash, so the first write always happens.
        self._shown: list[Color] | None = None
        self._lock = threading.Lock()

    def set_one(self, index: int, color: Color) -> None:
        """Raises BadCommandError where the strip has no such LED."""
        with self._lock:
            if not 0 <= index < len(self._pixels):
                raise BadCommandError(
                    f"index: found {index}, expected 0 to {len(self._pixels) - 1}"
                )
            self._pixels[index] = color

    def set_many(self, indices: Collection[int], color: Color) -> None:
        """Colour those of `indices` that the strip has."""
        with self._lock:
            for index in indices:
                if 0 <= index < len(self._pixels):
                    self._pixels[index] = color

    def set_all(self, color: Color) -> None:
        with self._lock:
            self._pixels = [color] * len(self._pixels)

    @property
    def shown(self) -> list[Color] | None:
        """The pixels as they were last written, None before the first write."""
        return self._shown

    def show(self, write: Callable[[Sequence[Color]], None]) -> list[Color] | None:
        """Hand the pixels to `write` if they changed; return them if they did.

        What `write` raises passes on, and the next call tries again.
        """
        with self._lock:
            pixels = list(self._pixels)
        if pixels == self._shown or not pixels:
            return None
        write(pixels)
        self._shown = pixels
        return pixels
