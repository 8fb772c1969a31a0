"""Simulated SHT31 at command level (Sensirion SHT3x-DIS datasheet, section 4).

It has single shots without clock stretching, periodic measurement with fetch and break, the status
register and the soft reset. In periodic mode it executes no single shot, and acknowledges a read
only after a fetch of data that is there.
"""

_SOFT_RESET = b"\x30\xa2"
_BREAK = b"\x30\x93"
_FETCH = b"\xe0\x00"
# Status register (table 18): an alert is pending and a reset was detected, as after power-on.
_READ_STATUS, _STATUS = b"\xf3\x2d", b"\x80\x10"
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
_ANSWER_BYTES = 6
# An undriven line reads high.
_IDLE = b"\xff"


class Sht31:
    """One sensor at 0x44 and the air around it."""

    bus = "i2c"
    address = 0x44
    temperature_c = 21.5
    humidity_pct = 45.0

    def __init__(self) -> None:
        # When the measurement that can be read is over; None where there is none.
        self._done_s: float | None = None
        # Seconds between two periodic measurements, None in single shot mode.
        self._period_s: float | None = None
        # When the last periodic measurement was fetched, or the mode began.
        self._fetched_s = 0.0
        self._busy_until_s = 0.0

    def transfer(self, write: bytes, read_length: int, now_s: float) -> bytes:
        """Take a command, then answer; a read without a measurement is not acknowledged."""
        if write == _READ_STATUS:
            return _with_checksum(_STATUS)[:read_length]
        if write and now_s >= self._busy_until_s:
            self._take(write, now_s)
        return self._measurement(read_length, now_s) if read_length else b""

    def _take(self, command: bytes, now_s: float) -> None:
        """Execute one command of two bytes; one that is unknown has no effect."""
        if command == _BREAK:
            self._reset()
            self._busy_until_s = now_s + _BREAK_S
        elif self._period_s is not None:
            if command == _FETCH:
                self._fetch(now_s, self._period_s)
        elif command == _SOFT_RESET:
            self._reset()
        elif command in _RATES_HZ:
            self._period_s, self._fetched_s = 1 / _RATES_HZ[command], now_s
            self._done_s = None
        elif command in _DURATIONS_S:
            self._done_s = now_s + _DURATIONS_S[command]

    def _reset(self) -> None:
        self._done_s = self._period_s = None

    def _fetch(self, now_s: float, period_s: float) -> None:
        """Make the newest measurement readable, if there is one since the last fetch."""
        self._done_s = now_s if now_s - self._fetched_s >= period_s else None
        if self._done_s is not None:
            self._fetched_s = now_s

    def _measurement(self, read_length: int, now_s: float) -> bytes:
        """Return the measurement, once."""
        if self._done_s is None or now_s < self._done_s:
            raise OSError("no measurement to read")
        self._done_s = None
        # Section 4.13 inverted.
        answer = _word((self.temperature_c + 45) / 175) + _word(self.humidity_pct / 100)
        return answer[:read_length] + _IDLE * (read_length - _ANSWER_BYTES)


def _word(fraction: float) -> bytes:
    """Return 16 bits of the full scale, with their checksum."""
    return _with_checksum(round(min(1.0, max(0.0, fraction)) * _FULL_SCALE).to_bytes(2, "big"))


def _with_checksum(word: bytes) -> bytes:
    return word + bytes((_checksum(word),))


def _checksum(data: bytes) -> int:
    """Return what is left of dividing by x^8 + x^5 + x^4 + 1, from all ones (section 4.12)."""
    # Long division of the whole message at once, its first byte turned over by the initial value.
    bits = 8 * len(data)
    rest = (int.from_bytes(data, "big") ^ 0xFF << bits - 8) << 8
    for shift in range(bits - 1, -1, -1):
        if rest >> shift + 8 & 1:
            rest ^= (0x100 | _POLYNOMIAL) << shift
    return rest
