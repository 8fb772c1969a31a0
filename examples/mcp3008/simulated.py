"""Simulated MCP3008 at bit level: eight 10-bit inputs on SPI (Microchip DS21295, section 5).

It has single-ended inputs only.
"""

_STEPS = 1 << 10
# From the start bit on: start, single-ended, three of channel, sampling, null bit, ten of value.
_CHANNEL_BITS = slice(2, 5)
_SILENT_BITS = 7


class Mcp3008:
    """One chip: the voltages at its eight inputs, and at VREF."""

    bus = "spi"
    input_0_v = 2.6
    input_1_v = 1.65
    input_2_v = 0.0
    input_3_v = 0.0
    input_4_v = 0.0
    input_5_v = 0.0
    input_6_v = 0.0
    input_7_v = 0.0
    reference_v = 3.3

    def transfer(self, data: bytes, _now_s: float) -> bytes:
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
        volts: float = getattr(self, f"input_{channel}_v")
        return min(_STEPS - 1, max(0, int(_STEPS * volts / self.reference_v)))
