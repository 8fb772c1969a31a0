"""An SHT31 at command level: what its I2C pins answer (Sensirion SHT3x-DIS datasheet, section 4).

It knows single shots without clock stretching, its soft reset, and nothing else. It knows no bus.
"""

import threading
from collections.abc import Callable

from node_agent.hal.capabilities import Climate

_SOFT_RESET = b"\x30\xa2"
# The longest a single shot takes by repeatability, high to low, in s (tables 4 and 9).
_DURATIONS_S = {b"\x24\x00": 0.0155, b"\x24\x0b": 0.0065, b"\x24\x16": 0.0045}
_POLYNOMIAL = 0x31
_FULL_SCALE = (1 << 16) - 1


class SimulatedSht31:
    """One sensor. `climate(t)` is what it feels at time t of `clock`, both in s."""

    def __init__(self, climate: Callable[[float], Climate], clock: Callable[[], float]) -> None:
        self._climate = climate
        self._clock = clock
        self._lock = threading.Lock()
        self.power_on()

    def power_on(self) -> None:
        """Forget everything, as at power-on and after a soft reset."""
        # When the measurement that was asked for is over; None where there is none to read.
        self._done_s: float | None = None

    def write(self, data: bytes) -> None:
        """Take one command of two bytes; one that is unknown has no effect."""
        with self._lock:
            if data == _SOFT_RESET:
                self.power_on()
            elif data in _DURATIONS_S:
                self._done_s = self._clock() + _DURATIONS_S[data]

    def read(self, read_len: int) -> bytes:
        """Return the measurement, once; nothing, which is no acknowledge, where there is none."""
        with self._lock:
            done_s = self._done_s
            if done_s is None or self._clock() < done_s:
                return b""
            self._done_s = None
            return _words(self._climate(done_s))[:read_len]


def _words(climate: Climate) -> bytes:
    """Return both values as they are sent (section 4.13 turned round), each with its checksum."""
    fractions = ((climate.temperature_c + 45) / 175, climate.humidity_pct / 100)
    words = (
        round(min(1.0, max(0.0, fraction)) * _FULL_SCALE).to_bytes(2, "big")
        for fraction in fractions
    )
    return b"".join(word + bytes((_checksum(word),)) for word in words)


def _checksum(data: bytes) -> int:
    """Return what is left of dividing by x^8 + x^5 + x^4 + 1, from all ones (section 4.12)."""
    # Long division of the whole message at once, its first byte turned over by the initial value.
    bits = 8 * len(data)
    rest = (int.from_bytes(data, "big") ^ 0xFF << bits - 8) << 8
    for shift in range(bits - 1, -1, -1):
        if rest >> shift + 8 & 1:
            rest ^= (0x100 | _POLYNOMIAL) << shift
    return rest
