"""Quantities and their units, compared with a recording of Home Assistant."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus.contract.quantity import (
    BINARY_SENSORS,
    OWN_UNITS,
    QUANTITIES,
    SENSOR_UNITS,
    unit_mistake,
    units_of,
)

RECORDED: dict[str, Any] = msgspec.json.decode(
    Path(__file__).with_name("home_assistant.json").read_bytes()
)["versions"]
NEWEST = RECORDED["2026.11.0"]


def test_the_quantities_are_those_of_the_newest_recorded_home_assistant() -> None:
    assert set(SENSOR_UNITS) == set(NEWEST["sensor"])
    assert set(BINARY_SENSORS) == set(NEWEST["binary_sensor"])


@pytest.mark.parametrize("quantity", sorted(SENSOR_UNITS))
def test_a_quantity_has_home_assistants_units(quantity: str) -> None:
    recorded, units = NEWEST["sensor"][quantity], SENSOR_UNITS[quantity]
    if recorded is None:
        assert units is None
    else:
        assert units is not None
        assert units.split(", ") == [unit for unit in recorded if unit] or [""]


@pytest.mark.parametrize("version", sorted(RECORDED))
def test_what_a_recorded_version_has_is_accepted(version: str) -> None:
    assert QUANTITIES.issuperset(RECORDED[version]["binary_sensor"])
    for quantity, units in RECORDED[version]["sensor"].items():
        assert quantity in QUANTITIES
        for unit in units or ["anything"]:
            assert unit_mistake(quantity, unit) is None, (quantity, unit)


@pytest.mark.parametrize(("quantity", "unit"), sorted(OWN_UNITS.items()))
def test_our_own_units_are_accepted_and_home_assistant_has_them_not(
    quantity: str, unit: str
) -> None:
    assert unit_mistake(quantity, unit) is None
    assert unit in (units_of(quantity) or [])
    assert unit not in NEWEST["sensor"][quantity]


@pytest.mark.parametrize(
    ("quantity", "unit"),
    [
        ("pm25", "\N{MICRO SIGN}g/m\N{SUPERSCRIPT THREE}"),
        ("pm25", "\N{GREEK SMALL LETTER MU}g/m3"),
        ("temperature", ""),
        ("monetary", "EUR"),
        ("connectivity", ""),
        ("", "whatever"),
    ],
)
def test_a_unit_may_be_written_in_any_of_its_ways(quantity: str, unit: str) -> None:
    assert unit_mistake(quantity, unit) is None


def test_a_unit_of_another_quantity_is_refused_with_both() -> None:
    assert unit_mistake("volatile_organic_compounds", "ppm") == (
        "found 'ppm', expected a unit of volatile_organic_compounds in Home Assistant: "
        "mg/m\N{SUPERSCRIPT THREE}, \N{GREEK SMALL LETTER MU}g/m\N{SUPERSCRIPT THREE}; "
        "'ppm' is one of carbon_dioxide, carbon_monoxide, nitrogen_dioxide"
    )
    assert unit_mistake("aqi", "ug") == (
        "found 'ug', expected a unit of aqi in Home Assistant: AQI"
    )
