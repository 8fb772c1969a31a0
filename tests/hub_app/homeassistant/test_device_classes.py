"""Device classes: every one of them is known to each version of Home Assistant."""

import json
import unicodedata
from typing import Any

import pytest

from bus.contract.quantity import OWN_UNITS, SENSOR_UNITS
from hub_app.homeassistant import device_classes
from hub_app.homeassistant.device_classes import NumberClass, of_number
from tests.support import PROJECT

RECORDED = PROJECT / "tests" / "bus" / "contract" / "home_assistant.json"
VERSIONS: dict[str, dict[str, Any]] = json.loads(RECORDED.read_text())["versions"]
PAIRS = [
    (quantity, unit)
    for quantity, units in SENSOR_UNITS.items()
    for unit in (*(units or "").split(", "), OWN_UNITS.get(quantity, ""))
]


def plain(unit: str) -> str:
    return unicodedata.normalize("NFKC", unit)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_number_has_a_class_and_a_unit_that_every_version_takes(version: str) -> None:
    known = VERSIONS[version]["sensor"]
    for quantity, unit in PAIRS:
        found = of_number(quantity, unit)
        if found.device_class is not None:
            assert plain(found.unit or "") in map(plain, known[quantity]), (quantity, unit)


@pytest.mark.parametrize("version", ["2024.3.3", "2025.4.4"])
def test_a_unit_is_spelled_as_the_version_spells_it(version: str) -> None:
    known = VERSIONS[version]["sensor"]
    for quantity, unit in PAIRS:
        found = of_number(quantity, unit)
        if found.device_class is not None:
            assert (found.unit or "") in known[quantity], (quantity, unit)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_class_of_a_binary_sensor_is_known(version: str) -> None:
    assert set(VERSIONS[version]["binary_sensor"]) >= device_classes.BINARY_SENSORS


@pytest.mark.parametrize(
    ("quantity", "unit", "expected"),
    [
        ("humidity", "%RH", NumberClass("humidity", "%")),
        ("aqi", "AQI", NumberClass("aqi", None)),
        ("ph", "pH", NumberClass("ph", None)),
        ("pm25", "\u03bcg/m\u00b3", NumberClass("pm25", "\u00b5g/m\u00b3")),
        ("energy", "kWh", NumberClass("energy", "kWh", "total_increasing")),
        ("temperature", "degC", NumberClass(None, "degC")),
        ("radon", "Bq/m\u00b3", NumberClass(None, "Bq/m\u00b3")),
        ("", "IAQ", NumberClass(None, "IAQ")),
        ("", "", NumberClass(None, None)),
    ],
)
def test_what_home_assistant_would_refuse_is_left_plain(
    quantity: str, unit: str, expected: NumberClass
) -> None:
    assert of_number(quantity, unit) == expected
