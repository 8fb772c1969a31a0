"""Configurations of new machines: valid, and with what was found."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bus.config import config_file
from bus.config.settings import Config
from harvester.install import configuration
from harvester.install.found import Found
from node_agent.hal.real.model import Model

SHIPPED = Path(__file__).parents[3] / "config"
PLAIN = Found(host="shed")
REVPI = Found(host="shed", model=Model(name="RevPi Connect 4", is_revpi=True))
PI4 = Found(
    host="shed",
    model=Model(name="Raspberry Pi 4 Model B Rev 1.4"),
    bme680_addresses=("0x76", "0x77"),
    display_addresses=("0x3c",),
)
Maker = Callable[[str, str, Found], str]
MAKERS: dict[str, Maker] = {
    "hub": configuration.hub,
    "spoke": configuration.spoke,
    "pizero": configuration.pizero,
}


def made(role: str, found: Found, folder: Path) -> Config:
    text = MAKERS[role]((SHIPPED / f"{role}.toml").read_text(), "garden", found)
    path = folder / f"{role}.toml"
    path.write_text(text)
    return config_file.load(path)


@pytest.mark.parametrize("role", MAKERS)
@pytest.mark.parametrize("found", [PLAIN, REVPI, PI4], ids=["plain", "revpi", "pi4"])
def test_every_machine_gets_a_valid_file_in_its_name(
    role: str, found: Found, tmp_path: Path
) -> None:
    config = made(role, found, tmp_path)
    assert config.cluster.node_id == "garden"
    assert config.cluster.role == ("hub" if role == "hub" else "spoke")
    assert config.plugins.directory == "/opt/harvester/plugins"
    assert {*config.plugins.grants} <= {*config.plugins.enabled}


@pytest.mark.parametrize("role", MAKERS)
def test_no_file_names_a_machine_of_the_example(role: str, tmp_path: Path) -> None:
    made(role, PLAIN, tmp_path)
    lines = (tmp_path / f"{role}.toml").read_text().splitlines()
    said = "\n".join(line.partition("#")[0] for line in lines)
    assert [name for name in ('"revpi"', '"pi4:', '"pizero"', "192.168") if name in said] == []


def test_the_chips_that_were_found_have_plugins_with_grants(tmp_path: Path) -> None:
    config = made("spoke", PI4, tmp_path)
    assert config.plugins.enabled == ["bme680", "pi4-monitor", "oled"]
    assert config.plugins.grants["bme680"].i2c == ["0x76", "0x77"]
    assert config.plugins.grants["oled"].i2c == config.hardware.ssd1306_addresses == ["0x3c"]
    assert config.sensors.bme680_addresses == ["0x76", "0x77"]


def test_a_machine_without_chips_still_tells_its_health(tmp_path: Path) -> None:
    config = made("spoke", PLAIN, tmp_path)
    assert config.plugins.enabled == ["pi4-monitor"]
    assert config.names["pi4-monitor"].title == "Health"
    assert (config.buzzer, config.fan, config.leds.count) == (None, None, 0)


def test_a_revpi_has_its_own_leds_and_plugin(tmp_path: Path) -> None:
    config = made("hub", REVPI, tmp_path)
    assert (config.leds.driver, config.leds.count) == ("revpi", 5)
    assert config.plugins.enabled == ["revpi-monitor"]
    assert made("hub", PLAIN, tmp_path).leds.count == 0
