"""Simulated SHT31 at command level (Sensirion SHT3x-DIS datasheet, section 4).

It has single shots without clock stretching, periodic measurement with fetch and break, and the
soft reset. In periodic mode it executes no single shot, and acknowledges a read only after a fetch
of data that is there.
"""

import threading
from collections.abc import Callable

from node_agent.hal.capabilities import Climate

_SOFT_RESET = b"\x30\xa2"
_BREAK = b"\x30\x93"
_FETCH = b"\xe0\x00"
# The chip takes no command for so long after a break (section 4.8).
_BREAK_S = 0.001
# The longest a single shot takes by repeatability, high to low, in s (tables 4 and 9).
_DURATIONS_S = {b"\x24\x00": 0.0155, b"\x24\x0b": 0.0065, b"\x24\x16": 0.0045}
# Measurements a second by command: 0.5, 1, 2, 4, 10, each at three repeatabilities (table 10); and
# accelerated response time at 4 (table 12).
_RATES_HZ = {
    bytes((msb, lsb)): rate_hz
    for msb, rate_hz, lsbs in (
        (0x20, 0.5, (0x32, 0x24, 0x2F)),
        (0x21, 1.0, (0x30, 0x26, 0x2D)),
        (0x22, 2.0, (0x36, 0x20, 0x2B)),
        (0x23, 4.0, (0x34, 0x22, 0x29)),
        (0x27, 10.0, (0x37, 0x21, 0x2A)),
        (0x2B, 4.0, (0x32,)),
    )
    for lsb in lsbs
}
_POLYNOMIAL = 0x31
_FULL_SCALE = (1 << 16) - 1


class SimulatedSht31:
    """One sensor. `climate(t)` is the air around it at time t of `clock`, in s."""

    def __init__(self, climate: Callable[[float], Climate], clock: Callable[[], float]) -> None:
        self._climate = climate
        self._clock = clock
        self._lock = threading.Lock()
        self.power_on()

    def power_on(self) -> None:
        """Forget everything, as at power-on and after a soft reset."""
        # When the measurement that can be read is over; None where there is none.
        self._done_s: float | None = None
        # Seconds between two periodic measurements, None in single shot mode.
        self._period_s: float | None = None
        # When the last periodic measurement was fetched, or the mode began.
        self._fetched_s = 0.0
        self._busy_until_s = 0.0

    def write(self, data: bytes) -> None:
        """Take one command of two bytes; one that is unknown has no effect."""
        with self._lock:
            now_s = self._clock()
            if now_s < self._busy_until_s:
                return
            if data == _BREAK:
                self.power_on()
                self._busy_until_s = now_s + _BREAK_S
            elif self._period_s is not None:
                if data == _FETCH:
                    self._fetch(now_s, self._period_s)
            elif data == _SOFT_RESET:
                self.power_on()
            elif data in _RATES_HZ:
                self._period_s, self._fetched_s = 1 / _RATES_HZ[data], now_s
                self._done_s = None
            elif data in _DURATIONS_S:
                self._done_s = now_s + _DURATIONS_S[data]

    def _fetch(self, now_s: float, period_s: float) -> None:
        """Make the newest measurement readable, if there is one since the last fetch."""
        self._done_s = now_s if now_s - self._fetched_s >= period_s else None
        if self._done_s is not None:
            self._fetched_s = now_s

    def read(self, read_len: int) -> bytes:
        """Return the measurement, once; nothing, which is no acknowledge, where there is none."""
        with self._lock:
            done_s = self._done_s
            if done_s is None or self._clock() < done_s:
                return b""
            self._done_s = None
            return _words(self._climate(done_s))[:read_len]


def _words(climate: Climate) -> bytes:
    """Return both values as they are sent (section 4.13 inverted), each with its checksum."""
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
