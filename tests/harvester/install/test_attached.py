"""Attached hardware in a new configuration: tables, plugins and grants that fit each other."""

from pathlib import Path

import pytest

from bus.config import config_file
from bus.contract.join import Attached
from harvester import cli
from harvester.install import configuration
from harvester.install.found import Found

SHIPPED = Path(__file__).parents[3] / "config/spoke.toml"
EVERYTHING = Attached(dht22=[4, 22], leds=11, buzzer=17, fan=27)


def test_what_is_attached_is_configured_with_its_grants(tmp_path: Path) -> None:
    found = Found(host="x", bme680_addresses=("0x76",), sht31_addresses=("0x44",))
    text = configuration.spoke(SHIPPED.read_text(), "shed", found, EVERYTHING, 'The "old" shed')
    path = tmp_path / "spoke.toml"
    path.write_text(text)
    config = config_file.load(path)
    assert config.cluster.area == 'The "old" shed'
    assert config.plugins.enabled == ["dht22", "bme680", "pi4-monitor"]
    assert config.sensors.dht22_pins == config.plugins.grants["dht22"].gpio == [4, 22]
    assert (config.leds.count, config.leds.pin) == (11, 10)
    assert config.buzzer is not None
    assert config.fan is not None
    assert (config.buzzer.pin, config.fan.pin) == (17, 27)
    assert "A Sensirion SHT31 answers at 0x44" in text


def test_what_is_not_attached_is_a_comment() -> None:
    text = configuration.spoke(SHIPPED.read_text(), "shed", Found(host="x"), Attached(fan=27))
    assert "# [buzzer]" in text
    assert "# [leds]" in text
    assert "# [fan]" not in text
    everything = configuration.spoke(SHIPPED.read_text(), "shed", Found(host="x"), EVERYTHING)
    assert "Remove the signs of comments" not in everything


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--dht22", "4", "--fan", "4"], "found pin 4 twice, expected each pin once"),
        (["--dht22", "40"], "dht22"),
        (["--area", "a\nb"], "--area"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_changes(
    words: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["install", "node", "--dry-run", "--name", "shed", *words])
    assert caught.value.code == 2
    assert error in capsys.readouterr().err
