"""Simulated GPS receiver that moves on a small circle: two NMEA 0183 sentences a second."""

import math
from datetime import UTC, datetime, timedelta

_RADIUS_DEGREES = 0.0005
_LAP_S = 120.0
# More than a port keeps of a receiver that nobody reads.
_LONGEST_S = 60


class GpsReceiver:
    """One receiver: where it is, and the satellites in use. Below 4 it has no position."""

    bus = "uart"
    baud = 9600
    # The harbour of Hamburg, about.
    latitude_deg = 53.5442
    longitude_deg = 9.9653
    altitude_m = 6.2
    satellites = 9.0

    def __init__(self) -> None:
        self._sent_s: int | None = None

    def read(self, now_s: float) -> bytes:
        """Return the sentences of each second since the last call; of a silent minute at most."""
        last = int(now_s)
        first = last if self._sent_s is None else max(self._sent_s, last - _LONGEST_S)
        self._sent_s = last
        began = datetime.now(UTC) - timedelta(seconds=now_s)
        return b"".join(self._sentences(t, began) for t in range(first + 1, last + 1))

    def write(self, data: bytes, now_s: float) -> None:
        """Take settings, as a receiver does, and change nothing."""

    def _sentences(self, second: int, began: datetime) -> bytes:
        angle = 2 * math.pi * second / _LAP_S
        latitude = self.latitude_deg + _RADIUS_DEGREES * math.sin(angle)
        longitude = self.longitude_deg + _RADIUS_DEGREES * math.cos(angle)
        at = began + timedelta(seconds=second)
        position = f"{_angle(latitude, 2, 'NS')},{_angle(longitude, 3, 'EW')}"
        satellites = int(self.satellites)
        quality, status = (1, "A") if satellites >= 4 else (0, "V")
        return sentence(
            f"GPGGA,{at:%H%M%S}.00,{position},{quality},{satellites:02d},0.9,"
            f"{self.altitude_m:.1f},M,46.0,M,,"
        ) + sentence(
            f"GPRMC,{at:%H%M%S}.00,{status},{position},1.4,{_course(angle):.1f},{at:%d%m%y},,,A"
        )


def sentence(body: str) -> bytes:
    """Return `body` framed: a dollar sign, the XOR of its characters in hexadecimal, CR LF."""
    checksum = 0
    for byte in body.encode("ascii"):
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode("ascii")


def _angle(degrees: float, width: int, hemispheres: str) -> str:
    """Return NMEA's ddmm.mmmm with `width` digits of degrees, and the hemisphere."""
    whole = int(abs(degrees))
    hemisphere = hemispheres[degrees < 0]
    return f"{whole:0{width}d}{(abs(degrees) - whole) * 60:07.4f},{hemisphere}"


def _course(angle: float) -> float:
    """Return the direction of travel, in degrees from north, at `angle` of the circle."""
    return -math.degrees(angle) % 360
