"""Settings of a plugin: whose value holds, what is refused, and what outlives a restart."""

from pathlib import Path

import pytest

from bus.contract.description import (
    MAX_SET_SENSORS,
    Band,
    FieldDescription,
    Fields,
    SensorSettings,
    SettingDescription,
    SettingValue,
)
from bus.errors import BadCommandError
from node_agent.descriptions.plugin_settings import PluginSettings

DESCRIBED = {
    "high_c": SettingDescription("number", 30.0, min=0, max=80, scope="sensor"),
    "alarm": SettingDescription("switch", default=True),
}
SENSORS = ["room-1", "room-2"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings" / "dht22.json"


def settings(path: Path, **configured: SettingValue | SensorSettings) -> PluginSettings:
    made = PluginSettings("dht22", configured, path, lambda: SENSORS)
    made.adopt(DESCRIBED)
    return made


def test_the_default_holds_where_nobody_chose(path: Path) -> None:
    made = settings(path)
    assert made.values() == {"high_c": 30.0, "alarm": True}
    assert (made.get(DESCRIBED, "high_c"), made.get(DESCRIBED, "alarm")) == ("30.0", "true")


def test_a_command_counts_before_the_configuration_and_that_before_the_default(path: Path) -> None:
    made = settings(path, high_c=28.0)
    assert made.values()["high_c"] == 28.0
    made.set({"high_c": 26})
    assert made.values()["high_c"] == 26


def test_what_a_command_set_outlives_a_restart(path: Path) -> None:
    settings(path).set({"high_c": 26, "alarm": False})
    assert settings(path).values() == {"high_c": 26, "alarm": False}


def test_null_brings_the_configurations_value_back(path: Path) -> None:
    made = settings(path, high_c=28.0)
    made.set({"high_c": 26})
    made.set({"high_c": None})
    assert made.values()["high_c"] == 28.0
    assert path.read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"high_c": 99}, "settings.high_c: found 99, expected a number from 0 to 80"),
        ({"alarm": 1}, "settings.alarm: found 1, expected true or false"),
        ({"hihg_c": 1}, "settings.hihg_c: found an unknown setting, expected one of high_c, alarm"),
        ({"hihg_c": None}, "settings.hihg_c: found an unknown setting"),
    ],
)
def test_a_bad_value_is_refused_and_nothing_is_set(
    path: Path, values: dict[str, float | None], sentence: str
) -> None:
    made = settings(path)
    with pytest.raises(BadCommandError) as raised:
        made.set({"high_c": 20, **values} if "high_c" not in values else {"alarm": False, **values})
    assert str(raised.value).startswith(sentence)
    assert made.values() == {"high_c": 30.0, "alarm": True}


def test_a_bad_value_of_the_configuration_refuses_the_component(path: Path) -> None:
    refused = PluginSettings("dht22", {"high_c": "hot"}, path).refusal(DESCRIBED)
    expected = "plugins.settings.dht22.high_c: found 'hot', expected a number from 0 to 80"
    assert refused == expected


def test_a_kept_value_that_fits_no_more_is_not_used(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings(path, high_c=10.0).set({"high_c": 70})
    later = PluginSettings("dht22", {"high_c": 10.0}, path)
    narrower = {"high_c": SettingDescription("number", 15.0, min=0, max=40)}
    later.adopt(narrower)
    assert later.values() == {"high_c": 10.0}
    assert "a kept setting is not used: high_c: found 70" in caplog.text


def test_a_setting_that_nobody_described_has_no_value(path: Path) -> None:
    assert settings(path).get(DESCRIBED, "x") is None


def test_a_disk_that_refuses_is_told_in_the_result(path: Path) -> None:
    path.parent.write_text("no folder")
    made = settings(path)
    with pytest.raises(BadCommandError, match="the settings cannot be kept"):
        made.set({"high_c": 20})
    assert made.values()["high_c"] == 30.0


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": [1]}', b'{"sensors": {"A": {}}}'])
def test_a_damaged_file_leaves_the_configurations_values(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert settings(path, high_c=28.0).values()["high_c"] == 28.0


def test_a_sensors_own_value_counts_before_the_plugins(path: Path) -> None:
    made = settings(path, high_c=28.0, sensors={"room-1": {"high_c": 35.0}})
    made.set({"high_c": 26})
    assert made.get(DESCRIBED, "high_c") == made.get(DESCRIBED, "high_c", "room-2") == "26"
    assert made.get(DESCRIBED, "high_c", "room-1") == "35.0"
    made.set({"high_c": 40}, "room-1")
    assert made.get(DESCRIBED, "high_c", "room-1") == "40"
    assert settings(path).sensor_values() == {"room-1": {"high_c": 40}, "room-2": {}}
    made.set({"high_c": None}, "room-1")
    assert made.get(DESCRIBED, "high_c", "room-1") == "35.0"


def test_a_setting_of_the_whole_plugin_is_the_same_for_each_sensor(path: Path) -> None:
    made = settings(path, alarm=False)
    assert made.get(DESCRIBED, "alarm", "room-1") == "false"
    assert made.get(DESCRIBED, "x", "room-1") is None


@pytest.mark.parametrize(
    ("sensor", "values", "sentence"),
    [
        ("room-9", {"high_c": 20}, "sensor: found 'room-9', expected one of room-1, room-2"),
        ("room-1", {"high_c": 99}, "settings.high_c: found 99, expected a number from 0 to 80"),
        ("room-1", {"x": None}, "settings.x: found an unknown setting, expected one of high_c"),
        (
            "room-1",
            {"alarm": None},
            "settings.alarm: found a setting of the whole plugin, expected one of high_c",
        ),
    ],
)
def test_a_bad_value_of_a_sensor_is_refused(
    path: Path, sensor: str, values: dict[str, float | None], sentence: str
) -> None:
    made = settings(path)
    with pytest.raises(BadCommandError) as raised:
        made.set(values, sensor)
    assert str(raised.value) == sentence
    assert made.sensor_values() == {"room-1": {}, "room-2": {}}


def test_a_sensor_that_never_answered_is_set_in_the_configuration_only(path: Path) -> None:
    made = PluginSettings("dht22", {}, path)
    made.adopt(DESCRIBED)
    with pytest.raises(BadCommandError, match="expected none: no sensor has answered yet"):
        made.set({"high_c": 20}, "room-1")
    assert settings(path, sensors={"room-3": {"high_c": 1}}).sensor_values()["room-3"]


def test_a_plugin_without_settings_of_sensors_has_none_in_its_state(path: Path) -> None:
    made = settings(path)
    made.adopt({"alarm": DESCRIBED["alarm"]})
    assert made.sensor_values() == {}


FIELDS: Fields = {
    "t": FieldDescription(
        bands=[Band(25, "ok"), Band(below=30, word="warm", setting="high_c"), Band(word="hot")]
    )
}


def limit(made: PluginSettings, sensor: str) -> float | None:
    return made.resolved(sensor, FIELDS)["t"].bands[1].below


def test_a_band_ends_where_the_setting_of_its_sensor_says(path: Path) -> None:
    made = settings(path, high_c=28.0, sensors={"room-1": {"high_c": 35.0}})
    assert (limit(made, "room-1"), limit(made, "room-2")) == (35.0, 28.0)
    made.set({"high_c": 40}, "room-2")
    assert (limit(made, "room-1"), limit(made, "room-2")) == (35.0, 40)


def test_limits_in_the_wrong_order_are_told_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = settings(path, high_c=28.0)
    made.adopt(DESCRIBED, FIELDS)
    assert made.problem == ""
    for high_c in (20, 20, None):
        made.set({"high_c": high_c}, "room-1")
        assert bool(made.problem) == (high_c is not None)
    sentence = "room-1: bands of t: the limit 25 is above high_c = 20; the latter counts"
    assert caplog.text.count(sentence) == 1
    made.set({"high_c": 20})
    assert made.problem == f"settings: {sentence.removeprefix('room-1: ')}"


def test_more_sensors_than_a_state_has_room_for_are_left_out_those_without_values_first() -> None:
    ids = [f"room-{i:03}" for i in range(200)]
    made = PluginSettings("dht22", {"sensors": {"room-199": {"high_c": 1}}}, None, lambda: ids)
    made.adopt(DESCRIBED)
    found = made.sensor_values()
    assert (len(found), found["room-199"]) == (MAX_SET_SENSORS, {"high_c": 1})


def test_more_values_than_a_state_has_room_for_are_refused(path: Path) -> None:
    described = {f"name-{i}": SettingDescription("text", "") for i in range(40)}
    made = PluginSettings("dht22", {}, path)
    made.adopt(described)
    with pytest.raises(BadCommandError, match="bytes of values, expected at most 8192"):
        made.set(dict.fromkeys(described, "x" * 256))


def test_an_led_that_the_plugin_is_not_granted_is_refused() -> None:
    made = PluginSettings(sensors=lambda: SENSORS, leds=[1, 3])
    made.adopt({"led": SettingDescription("integer", 1, min=-1, scope="sensor", kind="led")})
    for sensor in (None, "room-1"):
        made.set({"led": 3}, sensor)
        made.set({"led": -1}, sensor)
        with pytest.raises(BadCommandError) as refused:
            made.set({"led": 2}, sensor)
        assert str(refused.value) == (
            "settings.led: found 2, expected an LED that the node grants to the plugin"
            " (leds: 1, 3), or -1 for none"
        )
    assert made.values() == {"led": -1}


def test_a_refusal_by_the_plugin_holds_until_the_setting_is_set(path: Path) -> None:
    made = settings(path)
    made.refused_by_plugin("unknown", "found 1, expected 2")
    assert made.problem == ""
    made.refused_by_plugin("high_c", "found 30.0, expected less than my sensor can bear")
    assert made.problem == "settings: high_c: found 30.0, expected less than my sensor can bear"
    made.set({"alarm": False})
    assert made.problem
    made.set({"high_c": 20.0})
    assert made.problem == ""


def test_another_component_refuses_for_itself(path: Path) -> None:
    made = settings(path)
    made.refused_by_plugin("high_c", "found 30.0, expected less")
    made.adopt(DESCRIBED)
    assert made.problem == ""
