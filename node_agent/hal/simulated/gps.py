"""Simulated GPS receiver on the UART: two NMEA 0183 sentences a second.

It moves on a small circle, so that its position changes.
"""

import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from node_agent.hal.errors import BadDeviceDataError, DeviceUnavailableError
from node_agent.hal.simulated.wire import Wire

BAUD = 9600
BAUD_RATES = (4800, 9600, 19200, 38400, 57600, 115200)
# Buffer of the kernel for an unread port (N_TTY_BUF_SIZE).
_BUFFER_BYTES = 4096
# The harbour of Hamburg, about: degrees north and east, metres.
_CENTRE = (53.5442, 9.9653)
_RADIUS_DEGREES = 0.0005
_LAP_S = 120.0
_ALTITUDE_M = 6.2
_SATELLITES = 9


class SimulatedGps:
    """One receiver, talking at 9600 baud once a second from time 0 of `clock` on, in s."""

    def __init__(
        self,
        wire: Wire,
        clock: Callable[[], float],
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._wire = wire
        self._clock = clock
        self._started = utc_now() - timedelta(seconds=clock())
        self._lock = threading.Lock()
        self._arrived = bytearray()
        self._told_s = int(clock())
        self._baud = BAUD
        self._closed = False

    def read(self, max_len: int) -> bytes:
        with self._lock:
            self._check_open()
            self._wire.begin_transfer()
            self._receive()
            taken = bytes(self._arrived[:max_len])
            del self._arrived[:max_len]
            return self._wire.transmit(taken)

    def write(self, data: bytes) -> int:
        """Take settings, as a receiver does, and change nothing."""
        with self._lock:
            self._check_open()
            self._wire.begin_transfer()
            return len(data)

    def set_baud(self, rate: int) -> None:
        with self._lock:
            self._check_open()
            if rate not in BAUD_RATES:
                raise BadDeviceDataError(f"found {rate} baud, expected one of {BAUD_RATES}")
            self._baud = rate

    def close(self) -> None:
        with self._lock:
            self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceUnavailableError("the serial port is closed")

    def _receive(self) -> None:
        """Put what was sent since the last time into the buffer; the oldest bytes fall out."""
        now_s = int(self._clock())
        # No more than fits: a port unread for a day has lost the rest anyway.
        for second in range(max(self._told_s, now_s - _BUFFER_BYTES // 100) + 1, now_s + 1):
            self._arrived += self._as_heard(self._sentences(second))
        self._told_s = now_s
        del self._arrived[:-_BUFFER_BYTES]

    def _as_heard(self, sent: bytes) -> bytes:
        """At another rate than the sender's, bits are sampled at the wrong times."""
        return sent if self._baud == BAUD else bytes(byte & 0x55 | 0x80 for byte in sent)

    def _sentences(self, second: int) -> bytes:
        angle = 2 * math.pi * second / _LAP_S
        latitude = _CENTRE[0] + _RADIUS_DEGREES * math.sin(angle)
        longitude = _CENTRE[1] + _RADIUS_DEGREES * math.cos(angle)
        at = self._started + timedelta(seconds=second)
        position = f"{_degrees_minutes(latitude, 2)},N,{_degrees_minutes(longitude, 3)},E"
        return sentence(
            f"GPGGA,{at:%H%M%S}.00,{position},1,{_SATELLITES:02d},0.9,{_ALTITUDE_M},M,46.0,M,,"
        ) + sentence(f"GPRMC,{at:%H%M%S}.00,A,{position},1.4,{_course(angle):.1f},{at:%d%m%y},,,A")


def sentence(body: str) -> bytes:
    """Return `body` framed: a dollar sign, the XOR of its characters in hexadecimal, CR LF."""
    checksum = 0
    for byte in body.encode("ascii"):
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode("ascii")


def _degrees_minutes(degrees: float, width: int) -> str:
    """Return NMEA's ddmm.mmmm, with `width` digits of degrees."""
    whole = int(degrees)
    return f"{whole:0{width}d}{(degrees - whole) * 60:07.4f}"


def _course(angle: float) -> float:
    """Return the direction of travel, in degrees from north, at `angle` of the circle."""
    return -math.degrees(angle) % 360
