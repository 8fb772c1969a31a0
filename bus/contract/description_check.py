"""Checks of a plugin's description that go beyond the types: what contradicts itself is refused."""

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import pairwise

import msgspec

from bus.contract import setting_value
from bus.contract.description import (
    Band,
    FieldDescription,
    Fields,
    PluginDescription,
    SettingDescription,
    Settings,
)
from bus.contract.given_settings import SENSORS
from bus.contract.mistake import shown
from bus.contract.quantity import QUANTITIES, unit_mistake

# What the messages that carry them have room for.
MAX_BYTES = {"fields": 24_576, "settings": 8192}


def first_contradiction(description: PluginDescription) -> str | None:
    """Return `key: found this, expected that`, or None where everything fits together."""
    return next(_all(description), None)


def _all(description: PluginDescription) -> Iterator[str]:
    for part in ("fields", "settings"):
        size = len(msgspec.json.encode(getattr(description, part)))
        if size > MAX_BYTES[part]:
            yield f"{part}: found {size} bytes of JSON, expected at most {MAX_BYTES[part]}"
    for name, field in description.fields.items():
        found = (*_field(name, field, description.fields), *_limits(field, description.settings))
        for key, line in found:
            yield f"fields.{name}{key}: {line}"
    for name, setting in description.settings.items():
        if name == SENSORS:
            yield (
                f"settings.{name}: found {shown(name)}, which names the table of single sensors in "
                "a configuration; expected another name"
            )
        for key, line in _setting(setting):
            yield f"settings.{name}.{key}: {line}"


def _field(name: str, field: FieldDescription, fields: Fields) -> Iterator[tuple[str, str]]:
    if "-" in name:
        yield "", f"found {shown(name)}, expected {shown(name.replace('-', '_'))}, as in a reading"
    if field.quantity and field.quantity not in QUANTITIES:
        yield ".quantity", f"found {shown(field.quantity)}, expected {_quantity(field.quantity)}"
    if line := unit_mistake(field.quantity, field.unit):
        yield ".unit", line
    if field.range is not None and field.range[0] >= field.range[1]:
        yield ".range", f"found {list(field.range)}, expected the least value, then the greatest"
    yield from _bands(field.bands)
    for key, other in (("bar", field.bar), ("pending", field.pending)):
        if isinstance(other, str) and other not in fields:
            yield f".{key}", f"found {shown(other)}, expected one of {', '.join(fields)}"
    if isinstance(field.bar, int | float) and field.bar <= 0:
        yield ".bar", f"found {field.bar}, expected a number above 0, or the name of a field"


def _quantity(found: str) -> str:
    near = get_close_matches(found, sorted(QUANTITIES), n=1)
    return "a device class of Home Assistant" + (f"; did you mean {near[0]!r}?" if near else "")


def _bands(bands: list[Band]) -> Iterator[tuple[str, str]]:
    for place, band in enumerate(bands):
        if band.to is not None and band.below is not None:
            yield f".bands[{place}].below", f"found {_limit(band)} beside to, expected one of them"
    for place, (lower, upper) in enumerate(pairwise(bands)):
        if lower.limit is None:
            yield f".bands[{place}].to", "found nothing, expected a number in each but the last"
        elif upper.limit is not None and upper.limit <= lower.limit:
            key = "to" if upper.below is None else "below"
            yield (
                f".bands[{place + 1}].{key}",
                f"found {_limit(upper)}, expected a number above {_limit(lower)}",
            )


def _limit(band: Band) -> str:
    default_of = f", the default of {band.setting}" if band.setting else ""
    return f"{shown(band.limit)}{default_of}"


def _limits(field: FieldDescription, settings: Settings) -> Iterator[tuple[str, str]]:
    """Check the settings that limits of bands follow."""
    for place, band in enumerate(field.bands):
        setting = settings.get(band.setting or "")
        if band.setting and (setting is None or setting.type not in ("number", "integer")):
            expected = "a setting that is a number"
            yield f".bands[{place}].setting", f"found {shown(band.setting)}, expected {expected}"
        if band.setting and band.limit is None:
            yield f".bands[{place}].setting", "found one without a limit, expected both"


def _setting(setting: SettingDescription) -> Iterator[tuple[str, str]]:
    if setting.type == "choice" and not setting.choices:
        yield "choices", "found none, expected at least one"
    if setting.type != "choice" and setting.choices:
        yield "choices", f'found some, expected none where type is "{setting.type}"'
    if setting.type not in ("number", "integer") and (setting.min, setting.max) != (None, None):
        yield "type", f'found "{setting.type}" with bounds, expected "number" or "integer"'
    if setting.min is not None and setting.max is not None and setting.min > setting.max:
        yield "max", f"found {shown(setting.max)}, expected at least min = {shown(setting.min)}"
    if line := setting_value.mistake(setting, setting.default):
        yield "default", line
