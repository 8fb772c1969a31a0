"""Bands of the air quality index: their words and LED colours, and the alarm of the worst. Pure."""

from collections.abc import Sequence
from typing import NamedTuple


class Band(NamedTuple):
    """Word of a band, and the LED's colour."""

    name: str
    color: str


# The only words for the index: log, LED and page use them (`plugin.toml` describes the field with
# the same words and limits; a test compares the two).
BANDS = (
    Band("excellent", "green"),
    Band("good", "lime"),
    Band("moderate", "yellow"),
    Band("poor", "orange"),
    Band("bad", "red"),
)
# Upper limits of all bands but the last. They are those of Bosch's BSEC (BST-BME680-DS001 table 4:
# 0-50, 51-100, 101-150, 151-200, from 201), whose two worst bands are one here.
DEFAULT_LIMITS = (50, 100, 150, 200)

# The alarm sounds again only after the score was this much below the worst band.
_ALARM_DEADBAND = 10


def band_of(score: int, limits: Sequence[float] = DEFAULT_LIMITS) -> Band:
    """Return the band of a score. Where a limit is above a later one, the later one counts.

    >>> band_of(50).name, band_of(51).name, band_of(51, (60, 100, 150, 200)).name
    ('excellent', 'good', 'excellent')
    """
    for place, band in enumerate(BANDS[:-1]):
        if score <= min(limits[place:]):
            return band
    return BANDS[-1]


class BadAirAlarm:
    """Alarm that sounds once on entering the worst band."""

    def __init__(self) -> None:
        self._given = False

    def due(self, score: int, limit: float = DEFAULT_LIMITS[-1]) -> bool:
        """Return whether to sound the alarm now; `limit` is the last before the worst band."""
        if score <= limit - _ALARM_DEADBAND:
            self._given = False
        if self._given or score <= limit:
            return False
        self._given = True
        return True
