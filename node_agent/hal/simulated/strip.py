"""Simulated WS2812B strip with the pixels that it shows."""

import threading
from collections.abc import Sequence

from node_agent.hal.capabilities import BLACK, Color
from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.pixels import whole_strip
from node_agent.hal.simulated.recorder import Recorder


class SimulatedStrip:
    """`count` pixels, dark at first."""

    def __init__(self, count: int, recorder: Recorder) -> None:
        self._count = count
        self._recorder = recorder
        self._lock = threading.Lock()
        self._pixels: tuple[Color, ...] = (BLACK,) * count
        self._writes = 0
        self._closed = False

    @property
    def pixels(self) -> tuple[Color, ...]:
        """Pixels as last written."""
        return self._pixels

    @property
    def writes(self) -> int:
        """Number of writes."""
        return self._writes

    def show(self, pixels: Sequence[Color]) -> None:
        with self._lock:
            if self._closed:
                raise DeviceUnavailableError("the LED strip is closed")
            self._write(whole_strip(pixels, self._count))

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._write(whole_strip((), self._count))
            self._closed = True

    def _write(self, pixels: tuple[Color, ...]) -> None:
        self._pixels = pixels
        self._writes += 1
        self._recorder.record("leds", pixels=["#{:02x}{:02x}{:02x}".format(*p) for p in pixels])
