"""Scenario keys of a plugin's simulated chips: values from the table `[chips.<plugin>]`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from bus.contract.mistake import first_mistake
from node_agent.hal.simulated.models.load import ModelClass
from node_agent.hal.simulated.scenario import Curve

_VALUE = float | Curve
# A table of one chip of several, by its address: [chips.light.0x5c].
_PLACE = re.compile(r"0x[0-9a-f]{2}")


def values_of(table: Mapping[str, Any], chip: ModelClass, place: str) -> dict[str, float | Curve]:
    """Return the values of the chip at `place`: its own, else all chips', else the defaults."""
    said = {**table, **table.get(place, {})}
    return {
        key: msgspec.convert(said[key], _VALUE) if key in said else default
        for key, default in chip.keys.items()
    }


def first_wrong_key(plugin: str, table: Mapping[str, Any], chips: Sequence[ModelClass]) -> str:
    """Return what is wrong with the table `[chips.<plugin>]` in one line, or nothing."""
    return next(_mistakes(f"chips.{plugin}", table, chips), "")


def _mistakes(place: str, table: Mapping[str, Any], chips: Sequence[ModelClass]) -> Iterator[str]:
    places = {found for chip in chips for found in chip.places if _PLACE.fullmatch(found)}
    known = {key for chip in chips for key in chip.keys}
    for key, value in table.items():
        if key in places and isinstance(value, Mapping):
            at_place = [chip for chip in chips if key in chip.places]
            yield from _mistakes(f"{place}.{key}", value, at_place)
        elif key not in known:
            yield f"{place}.{key}: found an unknown key, expected {_expected(key, known, places)}"
        elif line := first_mistake(value, _VALUE, f"{place}.{key}"):
            yield line


def _expected(key: str, known: set[str], places: set[str]) -> str:
    near = get_close_matches(key, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    tables = f", or the table of a chip: {', '.join(sorted(places))}" if len(places) > 1 else ""
    keys = f"one of {', '.join(sorted(known))}" if known else "none: its chips have no keys"
    return f"{keys}{tables}{hint}"
