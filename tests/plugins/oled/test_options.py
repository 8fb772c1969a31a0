"""Settings of the OLED plugin."""

import json

from bus.contract.description import SettingValue
from harvester.plugins import manifest
from tests.plugins.oled.modules import options
from tests.support import PROJECT

SETTINGS = manifest.read(PROJECT / "plugins" / "oled" / "plugin.toml").settings


def test_the_defaults_of_the_description_are_those_of_the_code() -> None:
    defaults = {key: json.dumps(setting.default) for key, setting in SETTINGS.items()}
    assert options.Options.read(defaults.get) == options.Options()
    assert options.Options.read(lambda _: None) == options.Options()


def test_every_setting_is_read() -> None:
    others: dict[str, SettingValue] = {
        "lines": "pizero:*",
        "title": "Attic",
        "screen_s": 9,
        "fresh_s": 300,
        "controller": "SH1106",
        "size": "128x32",
        "address": "0x3d",
        "contrast": 3,
        "flip": True,
    }
    assert others.keys() == SETTINGS.keys()
    found = options.Options.read({key: json.dumps(value) for key, value in others.items()}.get)
    wiring = options.Wiring(0x3D, "SH1106", 32, 3, is_flipped=True)
    assert found == options.Options("pizero:*", "Attic", 9, 300, wiring)


def test_every_size_that_may_be_chosen_is_known() -> None:
    assert SETTINGS["size"].choices == list(options.SIZES)
