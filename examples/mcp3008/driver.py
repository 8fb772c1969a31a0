"""Driver of the Microchip MCP3008 over SPI: eight inputs of ten bits each.

Pure: the caller hands in `transfer(data)`, one full-duplex transaction. Source: Microchip DS21295
(MCP3004/3008), by its sections. Mode 0, at most 1.35 MHz at 2.7 V.
"""

from collections.abc import Callable

CHANNELS = 8
# Section 6.1 pads the command, so that the ten bits end with a byte: seven zeros and the start bit,
# then single-ended and three bits of channel.
_START = 0x01
_SINGLE_ENDED = 0x80
# Sent low by the chip just before its answer (section 5.0); an undriven line reads high.
_NULL_BIT = 0x04
_VALUE_BITS = 0x03
# Codes 0 and 1023 are values, not faults: the chip has no over-range code. 1023 is any input from
# VREF - 1 LSB on (section 4.0 has the code as 1024 * VIN / VREF), so a voltage above VREF reads
# as 1023 and can't be told from full scale. A sensor that never reaches an end of the scale can
# take its code there as a broken wire; the converter can't know.
_STEPS = 1 << 10


class Mcp3008Error(Exception):
    """The chip does not answer."""


class Mcp3008:
    """One chip with `reference_v` at its VREF pin."""

    def __init__(self, transfer: Callable[[bytes], bytes], reference_v: float) -> None:
        self._transfer = transfer
        self._reference_v = reference_v

    def volts(self, channel: int) -> float:
        """Return the voltage at input 0 to 7 (equation 4-2).

        Raises Mcp3008Error, and whatever `transfer` raises. An input line held low can't be told
        from 0 V: the chip has no checksum and no id.
        """
        if not 0 <= channel < CHANNELS:
            raise ValueError(f"found channel {channel}, expected 0 to {CHANNELS - 1}")
        answer = self._transfer(bytes((_START, _SINGLE_ENDED | channel << 4, 0)))
        if len(answer) != 3 or answer[1] & _NULL_BIT:
            raise Mcp3008Error(f"no answer: found {answer.hex(' ')}, expected a low null bit")
        code = (answer[1] & _VALUE_BITS) << 8 | answer[2]
        return code * self._reference_v / _STEPS
