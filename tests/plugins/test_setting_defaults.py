"""Settings of the shipped plugins: their defaults are those of the code."""

from dataclasses import asdict

import pytest

from harvester.plugins import manifest
from plugins.bme680.air_settings import AirSettings
from plugins.dht22.climate import DEFAULTS as ROOM
from plugins.shared import heat
from tests.support import PROJECT

HEAT = {**asdict(heat.DEFAULTS), "alarm": True}
# The plugin reads none: the limits are those of the bands.
ZERO = {"cpu_warm_c": heat.WARM_C, "cpu_hot_c": heat.HOT_C}


@pytest.mark.parametrize(
    ("plugin", "defaults"),
    [
        ("bme680", asdict(AirSettings())),
        ("dht22", {**asdict(ROOM), "alarm": True, "led": 1}),
        ("pi4-monitor", HEAT | asdict(heat.FAN_DEFAULTS) | {"led": 3}),
        ("revpi-monitor", HEAT | {"led": 0}),
        ("pizero-monitor", ZERO),
    ],
)
def test_code_and_description_have_the_same_defaults(
    plugin: str, defaults: dict[str, float]
) -> None:
    said = manifest.read(PROJECT / "plugins" / plugin / "plugin.toml").settings
    assert {key: setting.default for key, setting in said.items()} == defaults
