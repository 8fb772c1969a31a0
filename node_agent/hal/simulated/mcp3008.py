"""Simulated MCP3008 at bit level: eight 10-bit inputs on SPI (Microchip DS21295, section 5).

It has single-ended inputs only.
"""

from collections.abc import Callable

CHANNELS = 8
_STEPS = 1 << 10
# From the start bit on: start, single-ended, three of channel, sampling, null bit, ten of value.
_CHANNEL_BITS = slice(2, 5)
_SILENT_BITS = 7


class SimulatedMcp3008:
    """One chip. `volts(channel)` is what its input has now; `reference_v` is full scale."""

    def __init__(self, volts: Callable[[int], float], reference_v: float) -> None:
        self._volts = volts
        self._reference_v = reference_v

    def exchange(self, data: bytes) -> bytes:
        """Return what comes out while `data` goes in, between two edges of chip select."""
        length = 8 * len(data)
        sent = f"{int.from_bytes(data, 'big'):0{length}b}" if data else ""
        start = sent.find("1")
        if start < 0 or len(sent) < start + _CHANNEL_BITS.stop:
            return bytes(len(data))
        channel = int(sent[start:][_CHANNEL_BITS], 2)
        answer = "0" * (start + _SILENT_BITS) + f"{self._code(channel):010b}"
        return int(answer.ljust(length, "0")[:length], 2).to_bytes(len(data), "big")

    def _code(self, channel: int) -> int:
        """Return the voltage in steps (equation 4-2), clamped to ten bits as the chip does."""
        return min(_STEPS - 1, max(0, int(_STEPS * self._volts(channel) / self._reference_v)))
