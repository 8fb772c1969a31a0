"""Text of a value as its description has it: decimals, words, bands, durations. Pure."""

import math

from bus.contract.bounds import Value
from bus.contract.description import Band, FieldDescription

ABSENT = "\u2013"
# A larger number is a fault, not a measurement.
_HUGE = 1e15
_SMALL = 1e-3
_LEAST = 1e-15
_NO_BAND = Band()


def write(value: Value | None, field: FieldDescription) -> str:
    """Return a value as text, without its unit; the page's values.js does the same."""
    if value is None:
        return ABSENT
    if isinstance(value, str):
        return value
    if field.words and value in range(len(field.words)):
        return field.words[int(value)]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _number(value, field)


def band_of(value: Value | None, field: FieldDescription) -> Band:
    """Return the band of a value, or one without word and tone."""
    if value is None or isinstance(value, str):
        return _NO_BAND
    return next((band for band in field.bands if _has(band, value)), _NO_BAND)


def _has(band: Band, value: float) -> bool:
    if band.limit is None:
        return True
    return value <= band.limit if band.below is None else value < band.limit


def duration(seconds: float) -> str:
    """Return seconds as their two largest units, for example `3 d 4 h`."""
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    d, h = divmod(hours, 24)
    if d:
        return f"{d} d {h} h"
    if h:
        return f"{h} h {m} min"
    return f"{m} min {s} s" if m else f"{s} s"


def _number(value: float, field: FieldDescription) -> str:
    if abs(value) >= _HUGE:
        return "> 1e15" if value > 0 else "< -1e15"
    if field.duration:
        return duration(value)
    if field.decimals is None:
        return _plain(value)
    return f"{value:.{field.decimals}f}"


def _plain(value: float) -> str:
    """Return three decimals, and more for a small number that they would make 0."""
    size = abs(value)
    decimals = 2 - math.floor(math.log10(size)) if _LEAST <= size < _SMALL else 3
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")
