"""`harvester up --plugin`: the plugin is enabled on the Pi 4, granted what it uses, and found."""

import shutil
from pathlib import Path

import pytest

from bus.config import config_file
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from bus.install import assets
from harvester import scenario_option, up_plugins
from harvester.plugins.new import make_plugin
from harvester.up import Options, programs
from tests.support import PROJECT

SPOKE = PROJECT / "config" / "spoke.toml"


def spoke(*overrides: str) -> Config:
    return config_file.load(SPOKE, overrides)


def made(folder: Path, name: str, kind: str) -> Path:
    make_plugin(folder, name, kind, spoke(), "config/spoke.toml")
    return folder / name


def test_a_plugin_gets_what_it_uses_and_nobody_else_has(tmp_path: Path) -> None:
    added = up_plugins.named(PROJECT, [str(made(tmp_path, "light", "i2c"))])
    config = spoke(*up_plugins.overrides(spoke(), added))
    assert config.plugins.enabled == [*spoke().plugins.enabled, "light"]
    grant = config.plugins.grants["light"]
    assert grant.i2c == ["0x44"]
    assert grant.leds == [4]
    assert grant.gpio == []
    assert grant.inputs == []
    assert not any((grant.spi, grant.uart, grant.buzzer, grant.fan, grant.state))


def test_a_plugin_with_syntax_of_the_guests_python_is_granted_what_it_imports(
    tmp_path: Path,
) -> None:
    folder = made(tmp_path, "light", "i2c")
    with (folder / "app.py").open("a") as app:
        app.write("\n\ntype Pair[T] = tuple[T, T]\n")
    added = up_plugins.named(PROJECT, [str(folder)])
    grant = spoke(*up_plugins.overrides(spoke(), added)).plugins.grants["light"]
    assert grant.i2c == ["0x44"]
    assert grant.leds
    assert not any((grant.spi, grant.uart, grant.buzzer, grant.fan, grant.state))


@pytest.mark.parametrize(
    ("kind", "key"), [("spi", "spi"), ("uart", "uart"), ("gpio", "gpio"), ("button", "inputs")]
)
def test_a_port_is_granted_to_a_plugin_that_imports_it(tmp_path: Path, kind: str, key: str) -> None:
    added = up_plugins.named(PROJECT, [str(made(tmp_path, "port", kind))])
    grant = spoke(*up_plugins.overrides(spoke(), added)).plugins.grants["port"]
    assert getattr(grant, key)
    assert grant.i2c == []


BELL = """
from wit_world.imports import events, gpio, led_controller, readings

BUTTON = 17 + 5

class SensorLogic:
    def poll(self):
        gpio.set_input(BUTTON, "up", "falling", 20)
        gpio.write(23, True)
        led_controller.set_led(LEDS[0], 0, 0, 0)
        return []
"""


def test_pins_events_and_readings_are_granted_as_far_as_the_source_names_them(
    tmp_path: Path,
) -> None:
    app = made(tmp_path, "bell", "gpio") / "app.py"
    app.write_text(BELL)
    added = up_plugins.named(PROJECT, [str(app.parent)])
    computed = spoke(*up_plugins.overrides(spoke(), added)).plugins.grants["bell"]
    assert {5, 22} <= set(computed.inputs)
    assert 23 not in computed.inputs
    assert [(output.pin, output.safe) for output in computed.outputs] == [(23, "low")]
    assert computed.leds == [4, 5, 6, 7, 8, 9, 10]
    assert (computed.events, computed.readings, computed.i2c) == (True, ["*"], [])
    app.write_text(BELL.replace("17 + 5", "22"))
    named = spoke(*up_plugins.overrides(spoke(), added)).plugins.grants["bell"]
    assert named.inputs == [22]


def test_grants_of_the_configuration_stay(tmp_path: Path) -> None:
    added = up_plugins.named(PROJECT, [str(made(tmp_path, "light", "i2c"))])
    own = spoke('plugins.grants.light.i2c=["0x45"]')
    (enabled,) = up_plugins.overrides(own, added)
    assert enabled.startswith("plugins.enabled=")


def test_a_plugin_elsewhere_is_linked_beside_the_nodes_own(tmp_path: Path) -> None:
    light = made(tmp_path / "elsewhere", "light", "i2c")
    own = made(tmp_path / "plugins", "own", "gpio")
    (own.parent / "__pycache__").mkdir()
    added = up_plugins.named(PROJECT, [str(light)])
    for _ in range(2):
        folder = up_plugins.folder(own.parent, added, tmp_path / "state")
        assert folder == tmp_path / "state" / "plugins"
        found = {path.name: path.resolve() for path in folder.iterdir()}
        assert found == {"light": light, "own": own}
    assert assets.plugin_folder(str(folder), "light").resolve() == light
    assert up_plugins.folder(light.parent, added, tmp_path) == light.parent


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        (".", r"--plugin: found \., expected a folder with plugin\.toml in it"),
        ("./nothing", r"--plugin: found \./nothing, expected a folder with plugin\.toml in it"),
        ("nothing", "plugins: found nothing, expected some of "),
    ],
)
def test_what_is_no_plugin_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, mistake: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MisconfiguredError, match=mistake):
        up_plugins.named(PROJECT, [name])


def test_two_plugins_of_one_name_are_refused_and_the_same_one_counts_once(tmp_path: Path) -> None:
    one, other = (str(made(tmp_path / place, "light", "i2c")) for place in ("a", "b"))
    assert len(up_plugins.named(PROJECT, [one, one])) == 1
    with pytest.raises(MisconfiguredError, match="expected one plugin called light"):
        up_plugins.named(PROJECT, [one, other])


def test_a_plugin_of_the_project_is_known_by_its_name(tmp_path: Path) -> None:
    for folder in ("wit", "config"):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    light = made(tmp_path / "plugins", "light", "i2c")
    (source,) = up_plugins.named(tmp_path, ["light"])
    assert source.directory == light


def test_the_pi_4_alone_runs_it_and_every_simulated_node_plays_its_scenario(tmp_path: Path) -> None:
    played = scenario_option.parse(["illuminance_lx=5"], "light")
    options = Options(
        project=PROJECT,
        state=tmp_path,
        web_port=1,
        mqtt_port=2,
        zero_port=3,
        scenario=played.overrides(),
        spoke=["plugins.grants.light.spi=true"],
        plugins=tmp_path / "plugins",
    )
    commands = {program.name: program.command for program in programs(options)}
    key = "hardware.scenario_values.chips.light.illuminance_lx=5"
    assert [name for name, words in commands.items() if key in words] == ["pi4", "pizero"]
    grants = [name for name, words in commands.items() if options.spoke[0] in words]
    assert grants == ["pi4"]
    directory = f"plugins.directory={tmp_path / 'plugins'}"
    assert all(directory in words for words in commands.values())


def test_a_scenario_is_a_file_with_keys_laid_over_it(tmp_path: Path) -> None:
    file = tmp_path / "a=b.toml"
    file.touch()
    texts = [str(file), "illuminance_lx=5", "0x5c.illuminance_lx=6", "cpu.usage_pct=90"]
    found = scenario_option.parse(texts, "light")
    assert found.file == file
    assert found.values == [
        "chips.light.illuminance_lx=5",
        "chips.light.0x5c.illuminance_lx=6",
        "cpu.usage_pct=90",
    ]
    config = spoke(*found.overrides())
    assert config.hardware.scenario == str(file)
    assert config.hardware.scenario_values == {
        "chips": {"light": {"illuminance_lx": 5, "0x5c": {"illuminance_lx": 6}}},
        "cpu": {"usage_pct": 90},
    }


def test_without_one_plugin_a_key_needs_its_table() -> None:
    assert scenario_option.parse(["illuminance_lx=5"], "").values == ["illuminance_lx=5"]
