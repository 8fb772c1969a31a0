from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bus.contract.description import PluginDescription, SettingDescription
from bus.contract.plugin_file import component_section
from harvester.doctor import report as doctor
from harvester.doctor.chips import Blockers, chip_findings, display
from harvester.doctor.finding import Finding, missing
from harvester.doctor.needs import Role
from node_agent.hal.board import open_hardware
from tests.harvester.doctor.fake_machine import FakePi, config
from tests.support import HOST, free_port

TABLES: dict[str, Any] = {
    "sensors": {"dht22_pins": [4], "bme680_addresses": ["0x76", "0x77"]},
    "plugins": {"enabled": ["sht31"], "grants": {"sht31": {"i2c": ["0x44", "0x77"]}}},
}
NOWHERE = missing("device /dev/i2c-1", "no such file", "sudo raspi-config nonint do_i2c 0")


def findings(
    scenario: str, tmp_path: Path, role: Role = "spoke", driver: str = "simulated"
) -> dict[str, Finding]:
    file = tmp_path / "scenario.toml"
    file.write_text(scenario)
    hardware = {"driver": driver, "scenario": str(file), "ssd1306_addresses": ["0x3c"]}
    settings = config(hardware=hardware, **TABLES)
    with closing(open_hardware(settings)) as opened:
        found: Iterator[Finding] = chip_findings(settings, role, opened, Blockers(i2c=NOWHERE))
        return {finding.what: finding for finding in found}


def test_chips_that_answer_are_named_with_what_they_said(tmp_path: Path) -> None:
    found = findings("", tmp_path)
    assert found["bme680 i2c-1 0x76"].found == "id 0x61"
    assert found["bme680 i2c-1 0x77"].found == "id 0x61"
    assert found["display i2c-1 0x3c"].found == "answers"
    assert found["dht22 gpio4"].found.endswith(" %RH")
    assert [what for what, finding in found.items() if not finding.is_well] == ["sht31 i2c-1 0x44"]


def test_an_address_that_only_a_plugin_uses_is_asked_and_named_after_it(tmp_path: Path) -> None:
    finding = findings("", tmp_path)["sht31 i2c-1 0x44"]
    assert finding.found == "no answer at i2c-1 0x44"
    assert finding.mend.endswith("i2cdetect -y 1")


@pytest.mark.parametrize(
    ("settings", "name"), [({}, "ssd1306"), ({"oled": {"controller": "SH1106"}}, "sh1106")]
)
def test_a_display_is_named_after_the_controller_that_is_set(
    tmp_path: Path, settings: dict[str, Any], name: str
) -> None:
    component = tmp_path / "plugins" / "oled" / "oled.wasm"
    component.parent.mkdir(parents=True)
    said = SettingDescription("choice", "SSD1306", choices=["SSD1306", "SH1106"])
    empty = b"\0asm\x0d\0\x01\0"
    component.write_bytes(
        component_section.append(empty, PluginDescription(settings={"controller": said}))
    )
    plugins = {
        "directory": str(tmp_path / "plugins"),
        "enabled": ["oled"],
        "grants": {"oled": {"i2c": ["0x3c"]}},
        "settings": settings,
    }
    assert display(config(plugins=plugins), "0x3c") == name


def test_another_chip_at_the_address_is_noticed(tmp_path: Path) -> None:
    found = findings('faults = [{kind = "wrong-id", device = "bme680-0x77"}]', tmp_path)
    assert found["bme680 i2c-1 0x76"].is_well
    assert found["bme680 i2c-1 0x77"].found == "id 0x60, expected 0x61"
    assert not found["bme680 i2c-1 0x77"].is_well


@pytest.mark.parametrize(
    ("device", "what"),
    [
        ("bme680-0x76", "bme680 i2c-1 0x76"),
        ("ssd1306", "display i2c-1 0x3c"),
        ("dht22", "dht22 gpio4"),
    ],
)
def test_a_device_that_does_not_answer_is_named(tmp_path: Path, device: str, what: str) -> None:
    found = findings(f'faults = [{{kind = "unplugged", device = "{device}"}}]', tmp_path)[what]
    assert not found.is_well
    assert found.found.startswith("no answer at ")
    assert "wiring" in found.mend


def test_the_light_service_has_its_air_sensors_alone(tmp_path: Path) -> None:
    assert list(findings("", tmp_path, "pizero")) == ["bme680 i2c-1 0x76", "bme680 i2c-1 0x77"]


def test_a_chip_behind_a_missing_bus_is_mended_by_mending_the_bus(tmp_path: Path) -> None:
    found = findings("", tmp_path, driver="raspberry-pi")["bme680 i2c-1 0x77"]
    if Path("/dev/i2c-1").exists():
        pytest.skip("this machine has the bus")
    assert found.found == "cannot be asked without device /dev/i2c-1"
    assert found.mend == NOWHERE.mend


def test_the_agents_record_is_left_alone(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    hardware = {"driver": "simulated", "record_file": str(record)}
    nobody = {"url": f"mqtt://{HOST}:{free_port()}"}
    settings = config(broker=nobody, hardware=hardware, leds={"count": 3}, buzzer={}, **TABLES)
    doctor.examine(settings, "spoke", FakePi(tmp_path).machine())
    assert not record.exists()
