"""Text of a value, as its description has it: decimals, unit, words, bands.

Pure. A value that is not described is written as short as possible, as on the page.
"""

from typing import Any, NamedTuple

from number_text import plain

ABSENT = "--"
# A larger number is a fault, not a measurement.
_HUGE = 1e15
_TIMES = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


class Text(NamedTuple):
    """A value's text with its unit, and the word of the band that it is in."""

    value: str
    unit: str = ""
    word: str = ""


def text_of(field: dict[str, Any], name: str, data: dict[str, Any]) -> Text:
    """Return the text of the value `name` in a reading's `data`; `field` is its description."""
    if is_pending(field, data):
        return Text(field.get("pending_word") or ABSENT)
    value = data.get(name)
    if value is None or isinstance(value, str):
        return Text(value or ABSENT)
    words = field.get("words") or []
    if words and value in range(len(words)):
        return Text(words[int(value)], word=_band_word(field, value))
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if field.get("duration"):
        return Text(_duration(value))
    return Text(_number(field, value), field.get("unit") or "", _band_word(field, value))


def is_pending(field: dict[str, Any], data: dict[str, Any]) -> bool:
    """Whether the reading marks this value as not yet valid."""
    pending = field.get("pending")
    return pending is not None and data.get(pending) in (0, False)


def _number(field: dict[str, Any], value: float) -> str:
    if abs(value) >= _HUGE:
        return "> 1e15" if value > 0 else "< -1e15"
    decimals = field.get("decimals")
    if decimals is None:
        return plain(value)
    return f"{value:.{decimals}f}"


def _band_word(field: dict[str, Any], value: float) -> str:
    for band in field.get("bands") or ():
        if _is_in(band, value):
            return str(band.get("word") or "")
    return ""


def _is_in(band: dict[str, Any], value: float) -> bool:
    """Return whether a value is up to `to` or below `below`; a band without either has no end."""
    upper, end = band.get("to"), band.get("below")
    return (upper is None or value <= upper) and (end is None or value < end)


def _duration(seconds: float) -> str:
    """Return seconds as their two largest units, for example `3 d 4 h`."""
    parts: list[str] = []
    rest = int(seconds)
    for unit, size_s in _TIMES:
        count, rest = divmod(rest, size_s)
        if count or parts or size_s == 1:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
