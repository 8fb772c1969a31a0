"""Settings of a plugin and of its single sensors: one table, checked value by value."""

import pytest

from bus.contract import given_settings
from bus.contract.description import MAX_SET_SENSORS, SettingDescription
from bus.contract.given_settings import GivenSettings, SettingTable

DESCRIBED = {
    "high_c": SettingDescription("number", 30.0, min=0, max=80, scope="sensor"),
    "name": SettingDescription("text", "", scope="sensor"),
    "alarm": SettingDescription("switch", default=True),
}
TABLE: SettingTable = {"high_c": 28.0, "sensors": {"room-1": {"high_c": 35.0}}}


def test_a_table_is_split_and_joined() -> None:
    given = given_settings.split(TABLE)
    assert given == GivenSettings({"high_c": 28.0}, {"room-1": {"high_c": 35.0}})
    assert given.table == TABLE
    assert GivenSettings({"high_c": 28.0}).table == {"high_c": 28.0}


def test_some_settings_count_before_others_one_by_one() -> None:
    upper = GivenSettings({"alarm": False}, {"room-1": {"name": "x"}})
    assert upper.over(given_settings.split(TABLE)) == GivenSettings(
        {"high_c": 28.0, "alarm": False}, {"room-1": {"high_c": 35.0, "name": "x"}}
    )


def test_a_value_is_replaced_and_removed() -> None:
    given = given_settings.split(TABLE)
    assert given.with_values({"high_c": 20}, None).plugin == {"high_c": 20}
    assert given.with_values({"high_c": None}, None).plugin == {}
    assert given.with_values({"name": "x"}, "room-2").sensors["room-2"] == {"name": "x"}
    assert given.with_values({"high_c": None}, "room-1").sensors == {}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (GivenSettings({"high_c": 99}), "high_c: found 99, expected a number from 0 to 80"),
        (
            GivenSettings({}, {"room-1": {"high_c": "hot"}}),
            "sensors.room-1.high_c: found 'hot', expected a number from 0 to 80",
        ),
        (
            GivenSettings({}, {"room-1": {"hihg_c": 1}}),
            "sensors.room-1.hihg_c: found an unknown setting, expected one of high_c, name",
        ),
        (
            GivenSettings({}, {"room-1": {"alarm": False}}),
            "sensors.room-1.alarm: found a setting of the whole plugin, expected one of high_c",
        ),
    ],
)
def test_a_bad_value_is_named_with_its_sensor(given: GivenSettings, sentence: str) -> None:
    assert str(given_settings.first_mistake(DESCRIBED, given)).startswith(sentence)
    assert given_settings.first_mistake(DESCRIBED, given_settings.split(TABLE)) is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            GivenSettings({}, {f"room-{i}": {"name": "x" * 256} for i in range(40)}),
            "found 11123 bytes of values, expected at most 8192",
        ),
        (
            GivenSettings({}, {f"room-{i}": {} for i in range(MAX_SET_SENSORS + 1)}),
            "found values of 65 sensors, expected at most 64",
        ),
    ],
)
def test_more_than_a_state_has_room_for_is_refused(given: GivenSettings, sentence: str) -> None:
    said = given_settings.refusal("room", DESCRIBED, given)
    assert said == f"plugins.settings.room: {sentence}"


def test_a_plugin_without_settings_of_sensors_says_so() -> None:
    described = {"alarm": SettingDescription("switch", default=True)}
    line = given_settings.first_mistake(described, GivenSettings({}, {"a": {"alarm": False}}))
    assert line is not None
    assert line.endswith("expected none for single sensors")


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"room-1": {"high_c": 3}}, "room-1: found {'high_c': 3}, expected a value"),
        ({"sensors": 3}, "sensors: found 3, expected a table for each sensor"),
    ],
)
def test_a_table_in_the_place_of_a_value_is_refused(table: SettingTable, sentence: str) -> None:
    assert given_settings.structure_mistake(table) == sentence
    assert given_settings.structure_mistake(TABLE) is None
    assert given_settings.split(table) == GivenSettings()
