"""Driver of the Sensirion SHT31 over I2C: commands, timing, checksums and conversion.

Pure: the caller hands in `transfer(write, read_len)`, one transaction with the chip, and
`sleep_s(seconds)`. Source: Sensirion datasheet SHT3x-DIS, by its sections.
"""

from collections.abc import Callable
from dataclasses import dataclass

# Stops periodic measurement, which other programs may have started; 1 ms until the chip is idle
# (section 4.8). In periodic mode single shots are not executed.
_BREAK = b"\x30\x93"
_BREAK_S = 0.001
# Single shot by repeatability, clock stretching disabled (table 9), and its longest duration in s
# at the lowest supply voltage (table 4).
_MEASURE = {
    "high": (b"\x24\x00", 0.0155),
    "medium": (b"\x24\x0b", 0.0065),
    "low": (b"\x24\x16", 0.0045),
}
# Two bytes of temperature, their checksum, two of humidity, theirs (section 4.4).
_ANSWER_LEN = 6
# Section 4.12: x^8 + x^5 + x^4 + 1, from all ones.
_CRC_POLYNOMIAL = 0x31
_CRC_INITIAL = 0xFF
_FULL_SCALE = (1 << 16) - 1


class Sht31Error(Exception):
    """The answer has a wrong length or a wrong checksum."""


@dataclass(frozen=True)
class Measurement:
    temperature_c: float
    humidity_pct: float


# Specified range (tables 1 and 2): degC, %RH. The codes at the ends of the scale, -45 and 130 degC,
# are outside it.
_RANGES = {"temperature_c": (-40.0, 125.0), "humidity_pct": (0.0, 100.0)}


def out_of_range(measurement: Measurement) -> str:
    """Return the fault of a value outside the specified range, or nothing; limits belong to it."""
    for name, (low, high) in _RANGES.items():
        value = getattr(measurement, name)
        if not low <= round(value, 1) <= high:
            return f"{name} {value:.1f} is outside the range of {low:g} to {high:g}"
    return ""


class Sht31:
    """Driver of one chip. The first measurement, and the next after an error, begin with a break.

    `transfer(write, read_len)` is one transaction with the chip, `sleep_s(seconds)` waits.
    """

    def __init__(
        self, transfer: Callable[[bytes, int], bytes], sleep_s: Callable[[float], None]
    ) -> None:
        self._transfer = transfer
        self._sleep_s = sleep_s
        self._is_idle = False

    def measure(self, repeatability: str = "high") -> Measurement:
        """Return one new measurement. Raises Sht31Error, and whatever `transfer` raises.

        `repeatability` is high, medium or low: less noise, or less time and current.
        """
        command, duration_s = _MEASURE[repeatability]
        is_idle, self._is_idle = self._is_idle, False
        if not is_idle:
            self._transfer(_BREAK, 0)
            self._sleep_s(_BREAK_S)
        self._transfer(command, 0)
        self._sleep_s(duration_s)
        measurement = decode(self._transfer(b"", _ANSWER_LEN))
        self._is_idle = True
        return measurement


def decode(answer: bytes) -> Measurement:
    """Return the values in the six bytes of an answer (section 4.13); checks both checksums."""
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
