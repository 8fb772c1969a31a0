"""Scenario file: TOML, with one clear line where it is wrong."""

import re
from pathlib import Path
from typing import Any, get_args

import msgspec

from bus.config import toml_text
from bus.errors import MisconfiguredError
from node_agent.hal.simulated.scenario import AnyChip, AnyFault, Scenario

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_STEP = re.compile(r"([A-Za-z0-9_-]+)|\[(\d+|\.\.\.)\]")


def load(path: str) -> Scenario:
    """Return the scenario of the TOML file `path`; where that is empty, the default one.

    Raises MisconfiguredError with the file, the key, what was found and what is expected.
    """
    if not path:
        return Scenario()
    try:
        tables = toml_text.parse(Path(path).read_bytes())
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a readable scenario") from e
    except (ValueError, RecursionError) as e:
        raise MisconfiguredError(f"{path}: found no valid TOML: {e}") from e
    try:
        return msgspec.convert(tables, Scenario)
    except msgspec.ValidationError as e:
        raise MisconfiguredError(f"{path}: {_explain(str(e), tables)}") from e


def _explain(message: str, tables: Any) -> str:
    """Turn msgspec's message into `key: found this, expected that`."""
    at = _PLACE.search(message)
    place, reason = (at.group(1), message[: at.start()]) if at else ("", message)
    if reason.startswith("Expected"):
        expected = reason.removeprefix("Expected ").partition(", got ")[0]
        reason = f"found {_lookup(tables, place)!r}, expected {expected}"
    elif reason.startswith("Invalid value"):  # only a kind is one of several words
        tables_of_kinds = get_args(AnyChip if place.startswith("chips") else AnyFault)
        kinds = ", ".join(str(kind.__struct_config__.tag) for kind in tables_of_kinds)
        reason = f"found {_lookup(tables, place)!r}, expected one of {kinds}"
    return f"{place}: {reason}" if place else reason


def _lookup(tables: Any, place: str) -> Any:
    for name, index in _STEP.findall(place):
        if index == "...":
            return tables
        tables = tables[int(index) if index else name]
    return tables
