"""Settings of the shipped plugins: their defaults are those of the code."""

from dataclasses import asdict

import pytest

from harvester.plugins import manifest
from plugins.dht22.climate import DEFAULTS as ROOM
from plugins.shared import heat
from tests.support import PROJECT

HEAT = {**asdict(heat.DEFAULTS), "alarm": True}


@pytest.mark.parametrize(
    ("plugin", "defaults"),
    [
        ("dht22", {**asdict(ROOM), "alarm": True}),
        ("pi4-monitor", HEAT | asdict(heat.FAN_DEFAULTS)),
        ("revpi-monitor", HEAT),
        ("pizero-monitor", {}),
    ],
)
def test_code_and_description_have_the_same_defaults(
    plugin: str, defaults: dict[str, float]
) -> None:
    said = manifest.read(PROJECT / "plugins" / plugin / "plugin.toml").settings
    assert {key: setting.default for key, setting in said.items()} == defaults
