"""Scenario file: TOML, with one clear line where it is wrong."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bus.contract.mistake import first_mistake, shown
from bus.errors import MisconfiguredError
from bus.files import toml_text
from node_agent.hal.simulated.scenario import BUSES, KINDS, Scenario, names_of


def load(
    path: str, values: Mapping[str, Any] | None = None, plugins: Collection[str] = ()
) -> Scenario:
    """Return the scenario of the TOML file `path`, or the default one, with `values` laid over it.

    `plugins` are those whose chips a scenario may name. Raises MisconfiguredError with the file,
    the key, what was found and what is expected.
    """
    tables = _merged(_read(path) if path else {}, values or {})
    name = called(path)
    try:
        scenario = msgspec.convert(tables, Scenario)
    except msgspec.ValidationError as e:
        raise MisconfiguredError(f"{name}: {first_mistake(tables, Scenario) or e}") from e
    if line := _unknown_name(scenario, plugins):
        raise MisconfiguredError(f"{name}: {line}")
    return scenario


def called(path: str) -> str:
    """Return the name of a scenario in errors: its file, or a word where it has none."""
    return path or "scenario"


def _read(path: str) -> dict[str, Any]:
    try:
        return toml_text.parse(Path(path).read_bytes())
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a readable scenario") from e
    except (ValueError, RecursionError) as e:
        raise MisconfiguredError(f"{path}: found no valid TOML: {e}") from e


def _merged(tables: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `tables` with the values of `over`, table by table."""
    merged = dict(tables)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged


def _unknown_name(scenario: Scenario, plugins: Collection[str]) -> str:
    """Return the mistake of a device or a plugin that cannot be meant, or nothing."""
    known = {*KINDS, *BUSES, *plugins}
    for index, fault in enumerate(scenario.faults):
        if not names_of(fault.device) & known:
            return (
                f"faults[{index}].device: found {shown(fault.device)}, expected a device such as "
                "i2c, spi, uart, dht22-gpio4 or bme680-0x77, or a plugin's simulated chip"
            )
    for plugin in scenario.chips:
        if plugin not in plugins:
            expected = ", ".join(sorted(plugins)) or "none: no plugin is known"
            return f"chips: found {shown(plugin)}, expected a plugin's name, one of {expected}"
    return ""
