"""Fields: label, unit and format of each, passed to the browser as data attributes.

Those of a sensor are in its description; a field that is not described is shown under its own name.
Those of heartbeats and plugins, the system's own, are tables here.
"""

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from number_text import plain

Scalar = float | int | str | bool

ABSENT = "\u2013"
# A larger number is a fault, not a measurement; a float has no decimals left there either.
_HUGE = 1e15


class Band(NamedTuple):
    """Tone and word of the values up to `upper`; None means no upper limit.

    `upper` itself is included, unless `is_below`.
    """

    upper: float | None
    tone: str
    word: str = ""
    is_below: bool = False

    def has(self, value: float) -> bool:
        if self.upper is None:
            return True
        return value < self.upper if self.is_below else value <= self.upper


class Field(NamedTuple):
    """Format of one field.

    Without `decimals`, a number is written as short as possible. `words` are the texts for the
    values 0, 1, 2 ..., or for false and true. `full` is the maximum of the bar, `total` another
    field of the reading that has it. `unless_zero` names another field: while that is 0, this value
    is not valid yet and the text `meanwhile` is shown. `is_moment`: a time in Unix milliseconds, 0
    for none. `first` is the number of characters shown of a long text; its title holds all of it.
    `texts` are the texts for some strings.
    """

    label: str
    unit: str = ""
    decimals: int | None = None
    is_duration: bool = False
    words: tuple[str, ...] = ()
    bands: tuple[Band, ...] = ()
    full: float | None = None
    total: str | None = None
    unless_zero: str | None = None
    meanwhile: str = ""
    is_moment: bool = False
    first: int | None = None
    texts: tuple[tuple[str, str], ...] = ()


# Fields of a heartbeat.
HEARTBEAT_FIELDS = {
    "uptime_s": Field("Service up", is_duration=True),
    "rss_mb": Field("Memory", "MB", 1),
    "cycle_ms": Field("Cycle", "ms", 0),
    "outbox_rows": Field("Unsent", decimals=0),
    "dropped": Field("Dropped", decimals=0),
}

# Fields of a plugin's state, in the order of the columns.
PLUGIN_FIELDS = {
    # Only a command disables a plugin, and it stays so until another one enables it.
    "state": Field("state", texts=(("disabled", "disabled by command"),)),
    "version": Field("version"),
    "loaded_ms": Field("loaded", is_moment=True),
    "restarts": Field("restarts", decimals=0),
    "error": Field("last error"),
}
# Shown behind the version that the author gave, if any.
BUILD = Field("build", first=8)


def described(descriptions: dict[str, dict[str, Any]]) -> dict[str, Field]:
    """Return the fields of a sensor from their descriptions, in their order."""
    return {name: _field(name, of) for name, of in descriptions.items()}


def _field(name: str, of: dict[str, Any]) -> Field:
    bar = of.get("bar")
    return Field(
        of.get("label") or name,
        "" if of.get("duration") else of.get("unit", ""),
        of.get("decimals"),
        is_duration=of.get("duration", False),
        words=tuple(of.get("words", ())),
        bands=tuple(_band(one) for one in of.get("bands", ())),
        full=None if isinstance(bar, str) else bar,
        total=bar if isinstance(bar, str) else None,
        unless_zero=of.get("pending"),
        meanwhile=of.get("pending_word", ""),
    )


def _band(of: dict[str, Any]) -> Band:
    below = of.get("below")
    upper = of.get("to") if below is None else below
    return Band(upper, of.get("tone", ""), of.get("word", ""), below is not None)


def ordered(names: list[str], known: dict[str, Field]) -> dict[str, Field]:
    """Return the fields in the order of a card: the described ones, then the others by name."""
    first = {name: field for name, field in known.items() if name in names}
    return first | {name: Field(name) for name in sorted(names) if name not in known}


def is_pending(field: Field, data: dict[str, Scalar]) -> bool:
    """Whether the reading marks this value as not yet valid."""
    return field.unless_zero is not None and data.get(field.unless_zero) in (0, False)


def write(field: Field, value: Scalar | None) -> str:
    """Return a value as text; values.js does the same from the data attributes."""
    if value is None:
        return ABSENT
    if isinstance(value, str):
        value = dict(field.texts).get(value, value)
        return value if field.first is None else value[: field.first]
    if field.words and value in range(len(field.words)):
        return field.words[int(value)]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _number(field, value)


def _number(field: Field, value: float) -> str:
    if abs(value) >= _HUGE:
        return "> 1e15" if value > 0 else "< -1e15"
    if field.is_duration:
        return duration(value)
    if field.is_moment:
        return moment(value)
    if field.decimals is None:
        return plain(value)
    return f"{value:.{field.decimals}f}"


def band(field: Field, value: Scalar | None) -> Band:
    """Return the band of a value, or one without a tone."""
    if value is None or isinstance(value, str):
        return Band(None, "")
    fitting = (b for b in field.bands if b.has(value))
    return next(fitting, Band(None, ""))


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


def moment(timestamp_ms: float) -> str:
    """Return a time in UTC; overview.js replaces it with the browser's local time."""
    try:
        at = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return ABSENT
    return at.strftime("%Y-%m-%d %H:%M:%S") if timestamp_ms else ABSENT


def hints(field: Field) -> dict[str, str | int | bool | None]:
    """Return the data attributes from which values.js formats the field as `write` does."""
    return {
        "data_decimals": field.decimals,
        "data_duration": field.is_duration,
        "data_words": json.dumps(field.words) if field.words else None,
        "data_texts": json.dumps(dict(field.texts)) if field.texts else None,
        "data_bands": json.dumps(field.bands) if field.bands else None,
        "data_full": field.full,
        "data_total": field.total,
        "data_unless_zero": field.unless_zero,
        "data_meanwhile": field.meanwhile or None,
        "data_moment": field.is_moment,
        "data_first": field.first,
    }
