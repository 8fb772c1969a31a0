"""Values of settings: each type takes its own values and refuses others in a sentence."""

import pytest

from bus.contract import setting_value
from bus.contract.description import SettingDescription, SettingValue

SETTINGS = {
    "high_c": SettingDescription("number", 30.0, min=0, max=80),
    "count": SettingDescription("integer", 3, min=1),
    "name": SettingDescription("text", ""),
    "order": SettingDescription("choice", "grb", choices=["grb", "rgb"]),
    "alarm": SettingDescription("switch", default=True),
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("high_c", 28),
        ("high_c", 28.5),
        ("count", 1),
        ("name", "x"),
        ("order", "rgb"),
        ("alarm", False),
    ],
)
def test_a_value_that_fits_is_taken(key: str, value: SettingValue) -> None:
    assert setting_value.first_mistake(SETTINGS, {key: value}) is None


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("high_c", 81, "high_c: found 81, expected a number from 0 to 80"),
        ("high_c", "28", "high_c: found '28', expected a number from 0 to 80"),
        ("high_c", True, "high_c: found true, expected a number from 0 to 80"),
        ("count", 1.5, "count: found 1.5, expected an integer of at least 1"),
        ("count", 0, "count: found 0, expected an integer of at least 1"),
        ("name", 1, "name: found 1, expected a string"),
        ("order", "bgr", "order: found 'bgr', expected one of grb, rgb"),
        ("alarm", 1, "alarm: found 1, expected true or false"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(key: str, value: SettingValue, sentence: str) -> None:
    assert setting_value.first_mistake(SETTINGS, {key: value}) == sentence


def test_an_unknown_setting_is_refused_with_the_nearest_name() -> None:
    line = setting_value.first_mistake(SETTINGS, {"hihg_c": 1})
    assert line is not None
    assert line.endswith("did you mean 'high_c'?")
    assert "no settings" in str(setting_value.first_mistake({}, {"x": 1}))
