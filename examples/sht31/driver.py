"""The Sensirion SHT31 over I2C: commands, timing, checksums and arithmetic.

Pure: the caller hands in `transfer(write, read_len)`, one transaction with the chip, and
`sleep_s(seconds)`. Source: Sensirion datasheet SHT3x-DIS, by its sections.
"""

from collections.abc import Callable
from dataclasses import dataclass

# Single shot, high repeatability, clock stretching disabled (table 9).
_MEASURE = b"\x24\x00"
# The longest that takes, at the lowest supply voltage (table 4).
_MEASURE_S = 0.0155
# Two bytes of temperature, their checksum, two of humidity, theirs (section 4.4).
_ANSWER_LEN = 6
# Section 4.12: x^8 + x^5 + x^4 + 1, from all ones.
_CRC_POLYNOMIAL = 0x31
_CRC_INITIAL = 0xFF
_FULL_SCALE = (1 << 16) - 1


class Sht31Error(Exception):
    """The chip answered with what it can't have sent."""


@dataclass(frozen=True)
class Measurement:
    temperature_c: float
    humidity_pct: float


class Sht31:
    """One chip."""

    def __init__(
        self, transfer: Callable[[bytes, int], bytes], sleep_s: Callable[[float], None]
    ) -> None:
        self._transfer = transfer
        self._sleep_s = sleep_s

    def measure(self) -> Measurement:
        """Return one new measurement. Raises Sht31Error, and whatever `transfer` raises."""
        self._transfer(_MEASURE, 0)
        self._sleep_s(_MEASURE_S)
        return decode(self._transfer(b"", _ANSWER_LEN))


def decode(answer: bytes) -> Measurement:
    """Return what the six bytes of an answer say (section 4.13); both checksums must fit."""
    if len(answer) != _ANSWER_LEN:
        raise Sht31Error(f"found {len(answer)} bytes, expected {_ANSWER_LEN}")
    temperature = _word("temperature", answer[:3])
    humidity = _word("humidity", answer[3:])
    return Measurement(
        temperature_c=-45 + 175 * temperature / _FULL_SCALE,
        humidity_pct=100 * humidity / _FULL_SCALE,
    )


def _word(name: str, data: bytes) -> int:
    if crc8(data[:2]) != data[2]:
        raise Sht31Error(f"wrong checksum of the {name}")
    return int.from_bytes(data[:2], "big")


def crc8(data: bytes) -> int:
    """Return the checksum of `data`.

    >>> hex(crc8(bytes([0xBE, 0xEF])))  # the datasheet's own example
    '0x92'
    """
    crc = _CRC_INITIAL
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (_CRC_POLYNOMIAL if crc & 0x80 else 0)
        crc &= 0xFF
    return crc
