"""Plugins without a plugin host: their settings from the configuration and from commands."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus.config.settings import Config, PluginsConfig
from bus.contract.messages import PluginState
from bus.errors import BadCommandError, MisconfiguredError
from pizero_native.native_plugins import NativePlugin, NativePlugins, check_settings

SENSORS = ["bme680-0x76", "bme680-0x77"]


class Service:
    """The plugins of a service whose configuration has `settings` of the BME680."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.said: list[tuple[str, PluginState]] = []
        config = Config(plugins=PluginsConfig(settings={"bme680": settings}))
        self.air = NativePlugin("bme680", config, directory, SENSORS)
        health = NativePlugin("pizero-monitor", config, directory, ["pizero-monitor"])
        self.plugins = NativePlugins(
            "pizero",
            {"bme680": self.air, "pizero-monitor": health},
            lambda state, plugin: self.said.append((plugin, state)),
        )

    def order(self, **command: object) -> None:
        fields = {"plugin": "bme680", "action": "set", **command}
        self.plugins.execute(msgspec.json.encode(fields))


def test_the_configurations_values_hold_for_its_sensors(tmp_path: Path) -> None:
    own = {"bme680-0x77": {"temperature_offset_c": -1.5}}
    service = Service(tmp_path, temperature_offset_c=0.5, sensors=own)
    found = [service.air.values(sensor)["temperature_offset_c"] for sensor in SENSORS]
    assert found == [0.5, -1.5]


def test_a_command_holds_at_once_is_said_and_survives_a_restart(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.order(settings={"altitude_m": 300}, sensor="bme680-0x76")
    [(plugin, state)] = service.said
    assert (plugin, state.state) == ("bme680", "running")
    assert state.sensors["bme680-0x76"] == {"altitude_m": 300}
    for after in (service, Service(tmp_path)):
        assert [after.air.values(sensor)["altitude_m"] for sensor in SENSORS] == [300, 0.0]


def test_every_state_is_said_after_a_connection(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.plugins.publish_all()
    assert [plugin for plugin, _ in service.said] == ["bme680", "pizero-monitor"]
    assert service.said[0][1].settings["heater_ms"] == 150


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            {"settings": {"heater_c": 500}},
            "settings.heater_c: found 500, expected a number from 200 to 400",
        ),
        ({"settings": {"alarm": False}}, "settings.alarm: pizero has no buzzer"),
        ({"settings": {"led": 3}}, "settings.led: pizero has no LEDs"),
        (
            {"action": "reload"},
            "action: found 'reload', expected 'set': pizero has no plugin host",
        ),
        (
            {"plugin": "dht22", "settings": {"high_c": 20}},
            "plugin: found 'dht22', expected one of bme680, pizero-monitor",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(
    tmp_path: Path, command: dict[str, object], sentence: str
) -> None:
    service = Service(tmp_path)
    with pytest.raises(BadCommandError) as refused:
        service.order(**command)
    assert str(refused.value) == sentence
    assert service.said == []


def test_the_version_is_that_of_the_plugin_whose_work_the_service_does(tmp_path: Path) -> None:
    said = tomllib.loads(Path("plugins/bme680/plugin.toml").read_text("utf-8"))
    assert Service(tmp_path).air.state.version == said["version"]


def test_settings_of_outputs_are_not_offered(tmp_path: Path) -> None:
    assert not {"alarm", "led"} & Service(tmp_path, alarm=False).air.state.described.keys()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"heater_c": "hot"}, "heater_c: found 'hot', expected a number from 200 to 400"),
        (
            {"sensors": {"bme680-0x76": {"led": "red"}}},
            "sensors.bme680-0x76.led: found 'red', expected an integer from -1 to 255",
        ),
    ],
)
def test_a_bad_value_of_the_configuration_is_for_a_person_to_correct(
    settings: dict[str, Any], sentence: str
) -> None:
    check_settings(Config())
    with pytest.raises(MisconfiguredError) as wrong:
        check_settings(Config(plugins=PluginsConfig(settings={"bme680": settings})))
    assert str(wrong.value) == f"plugins.settings.bme680.{sentence}"
