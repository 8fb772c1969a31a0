"""Limits of bands that follow settings: as an author writes them, and with the values that hold.

In `plugin.toml` a limit is a number or the name of a setting. In a description it is always a
number: in the component the setting's default, on the bus the value that holds for the sensor.
"""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from itertools import pairwise
from typing import Annotated

import msgspec

from bus.contract.bounds import FieldName, Number, Word
from bus.contract.description import (
    MAX_BANDS,
    Band,
    FieldDescription,
    Fields,
    SettingDescription,
    SettingValue,
    Tone,
)
from bus.contract.mistake import shown

# Returns the value of a setting that holds, None where there is no such setting.
ValueOf = Callable[[str], SettingValue | None]
_NUMBERS = ("number", "integer")


# In a file that a person wrote an unknown key is a mistake; on the bus it is a newer node's.
class AuthoredBand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Band as `plugin.toml` has it, with a number or a setting as its limit."""

    to: Number | FieldName | None = None
    below: Number | FieldName | None = None
    word: Word = ""
    tone: Tone = ""


class AuthoredField(FieldDescription, frozen=True, forbid_unknown_fields=True):
    """Field as `plugin.toml` has it."""

    bands: Annotated[list[AuthoredBand], msgspec.Meta(max_length=MAX_BANDS)] = msgspec.field(  # type: ignore[assignment]
        default_factory=list
    )


def first_mistake(
    fields: Mapping[str, AuthoredField], settings: Mapping[str, SettingDescription]
) -> str | None:
    """Return `key: found this, expected that` for the first limit that is no number, else None."""
    return next(_mistakes(fields, settings), None)


def described(
    fields: Mapping[str, AuthoredField], settings: Mapping[str, SettingDescription]
) -> Fields:
    """Return the fields with the defaults of settings as limits. Every limit must be right."""
    return {
        name: msgspec.convert(
            {
                **msgspec.to_builtins(field),
                "bands": [msgspec.to_builtins(_band(band, settings)) for band in field.bands],
            },
            FieldDescription,
        )
        for name, field in fields.items()
    }


def resolved(fields: Fields, value_of: ValueOf) -> Fields:
    """Return the fields with the values of settings as limits, in ascending order.

    Where a limit is above the next one, the next one counts, and the band between is left out.
    """
    return {
        name: msgspec.structs.replace(field, bands=_in_order(_with_values(field.bands, value_of)))
        if any(band.setting for band in field.bands)
        else field
        for name, field in fields.items()
    }


def disorder(fields: Fields, value_of: ValueOf) -> str:
    """Return a sentence where settings put a limit above the next one, else nothing."""
    for name, field in fields.items():
        if not any(band.setting for band in field.bands):
            continue
        for lower, upper in pairwise(_with_values(field.bands, value_of)):
            if lower.limit is not None and upper.limit is not None and lower.limit > upper.limit:
                return (
                    f"bands of {name}: {_named(lower)} is above {_named(upper)}; the latter counts"
                )
    return ""


def _mistakes(
    fields: Mapping[str, AuthoredField], settings: Mapping[str, SettingDescription]
) -> Iterator[str]:
    known = [key for key, setting in settings.items() if setting.type in _NUMBERS]
    for name, field in fields.items():
        for place, band in enumerate(field.bands):
            for key, limit in (("to", band.to), ("below", band.below)):
                if isinstance(limit, str) and limit not in known:
                    found = _found(limit, settings)
                    yield f"fields.{name}.bands[{place}].{key}: {found}, {_expected(limit, known)}"


def _found(limit: str, settings: Mapping[str, SettingDescription]) -> str:
    setting = settings.get(limit)
    kind = f", a setting of type {setting.type}" if setting else ""
    return f"found {shown(limit)}{kind}"


def _expected(limit: str, known: list[str]) -> str:
    if not known:
        return "expected a number: no setting is one"
    near = get_close_matches(limit, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"expected a number or a setting that is one: {', '.join(known)}{hint}"


def _band(band: AuthoredBand, settings: Mapping[str, SettingDescription]) -> Band:
    named = next((limit for limit in (band.to, band.below) if isinstance(limit, str)), None)
    to, below = (_default(limit, settings) for limit in (band.to, band.below))
    return Band(to, band.word, band.tone, below, named)


def _default(limit: float | str | None, settings: Mapping[str, SettingDescription]) -> float | None:
    return _number(settings[limit].default) if isinstance(limit, str) else limit


def _number(value: SettingValue | None) -> float | None:
    return value if isinstance(value, int | float) else None


def _with_values(bands: list[Band], value_of: ValueOf) -> list[Band]:
    return [_with_value(band, value_of) for band in bands]


def _with_value(band: Band, value_of: ValueOf) -> Band:
    limit = _number(value_of(band.setting)) if band.setting else None
    if limit is None:
        return band
    if band.below is not None:
        return msgspec.structs.replace(band, below=limit)
    return msgspec.structs.replace(band, to=limit)


def _in_order(bands: list[Band]) -> list[Band]:
    ordered: list[Band] = []
    for band in reversed(bands):
        upper = ordered[-1] if ordered else None
        if upper is None or upper.limit is None or band.limit is None or band.limit < upper.limit:
            ordered.append(band)
        else:
            ordered[-1] = msgspec.structs.replace(upper, word=band.word, tone=band.tone)
    return ordered[::-1]


def _named(band: Band) -> str:
    """Return for example `warm_c = 32`."""
    limit = f"{band.limit:g}" if band.limit is not None else "nothing"
    return f"{band.setting} = {limit}" if band.setting else f"the limit {limit}"
