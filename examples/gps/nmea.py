"""NMEA 0183 parser: bytes of a GPS receiver in, fixes out.

Pure. A GGA and an RMC sentence of the same time make one fix. A sentence with a wrong checksum is
ignored, and a position without a fix is absent. Source: NMEA 0183 version 3.01, sentences GGA and
RMC.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A sentence is 82 characters at most; what is longer lost its line end.
_MAX_LINE_BYTES = 256
_M_S_PER_KNOT = 1852 / 3600
# GGA's quality of positions that were measured: GPS, differential, PPS, two kinds of RTK. What is
# left are none (0), dead reckoning (6), typed in (7) and simulated (8).
_MEASURED = frozenset("12345")
_VALID = "A"
# Talker and sentence id. The talker tells the satellites: GP, GL, GA, GN ... One that begins with P
# is no talker but a manufacturer's own sentence, such as Garmin's $PGRMC.
_SENTENCE_ID = re.compile(r"(?!P)[A-Z]{2}(GGA|RMC)")


@dataclass(frozen=True)
class Fix:
    """Position fix of one second; what the receiver does not know is None."""

    latitude: float | None = None  # degrees, north is positive
    longitude: float | None = None  # degrees, east is positive
    altitude: float | None = None  # metres above mean sea level
    speed: float | None = None  # metres per second over ground
    satellites: int | None = None  # in use

    def values(self) -> list[tuple[str, float]]:
        """Return what is known by name."""
        return [(name, float(value)) for name, value in vars(self).items() if value is not None]


class Receiver:
    """Parser state of one receiver; sentences may be split anywhere between two feeds."""

    def __init__(self) -> None:
        self._partial = b""
        self._gga: list[str] | None = None
        self._rmc: list[str] | None = None

    def feed(self, data: bytes) -> Fix | None:
        """Parse `data` and return the newest fix that it completes, if any."""
        *lines, rest = (self._partial + data).split(b"\n")
        self._partial = rest[-_MAX_LINE_BYTES:]
        newest = None
        for fields in _sentences(lines):
            newest = self._take(fields) or newest
        return newest

    def _take(self, fields: list[str]) -> Fix | None:
        sentence_id = _SENTENCE_ID.fullmatch(fields[0])
        if sentence_id is None:
            return None
        if sentence_id[1] == "GGA" and len(fields) >= 10:
            self._gga = fields
        elif sentence_id[1] == "RMC" and len(fields) >= 8:
            self._rmc = fields
        gga, rmc = self._gga, self._rmc
        # As numbers: some receivers send 085210 in one and 085210.00 in the other.
        if gga is None or rmc is None or _number(gga[1]) != _number(rmc[1]):
            return None
        self._gga = self._rmc = None
        return _fix(gga, rmc)


def _sentences(lines: list[bytes]) -> Iterator[list[str]]:
    """Yield the fields of each line that is a sentence with the right checksum."""
    for line in lines:
        # The line of a truncated sentence also holds the next one.
        body, star, checksum = line.rpartition(b"$")[2].strip().partition(b"*")
        if star and b"$" in line and body.isascii() and _is_hex_of(checksum, body):
            yield body.decode("ascii").split(",")


def _is_hex_of(checksum: bytes, body: bytes) -> bool:
    found = 0
    for byte in body:
        found ^= byte
    return checksum.upper() == b"%02X" % found


def _fix(gga: list[str], rmc: list[str]) -> Fix:
    satellites = int(gga[7]) if gga[7].isdecimal() else None
    if gga[6] not in _MEASURED or rmc[2] != _VALID:
        return Fix(satellites=satellites)
    knots = _number(rmc[7])
    return Fix(
        latitude=_degrees(gga[2], gga[3], "NS", 90),
        longitude=_degrees(gga[4], gga[5], "EW", 180),
        altitude=_number(gga[9]),
        speed=None if knots is None else knots * _M_S_PER_KNOT,
        satellites=satellites,
    )


def _degrees(text: str, hemisphere: str, hemispheres: str, limit: int) -> float | None:
    """Return ddmm.mmmm or dddmm.mmmm in degrees, None where it is no position."""
    whole, _, _ = text.partition(".")
    minutes = _number(text[len(whole) - 2 :])
    if len(whole) < 3 or not whole.isdecimal() or minutes is None or minutes >= 60:
        return None
    degrees = int(whole[:-2]) + minutes / 60
    if degrees > limit or not hemisphere or hemisphere not in hemispheres:
        return None
    return degrees if hemisphere == hemispheres[0] else -degrees


def _number(text: str) -> float | None:
    """Return a plain decimal number, None where the field is empty or something else."""
    if not text.removeprefix("-").replace(".", "", 1).isdecimal():
        return None
    return float(text)
