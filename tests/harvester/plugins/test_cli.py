"""Building and listing plugins from the command line."""

import shutil
import subprocess
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from bus.contract.description import FieldDescription, PluginDescription, SettingDescription
from bus.contract.plugin_file import component_section
from bus.errors import MisconfiguredError
from harvester.cli import main
from harvester.plugins import source as plugin_source
from harvester.plugins.builder import toolchain
from harvester.plugins.project import chosen, contract_file
from tests.support import PROJECT

SOURCE = """
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import gpio_provider

class SensorLogic(exports.SensorLogic):
    def poll(self):
        return [Reading("tiny", gpio_provider.get_timestamp_ms(), [("one", 1.0)])]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with one plugin that builds."""
    shutil.copytree(PROJECT / "wit", tmp_path / "wit")
    plugin = tmp_path / "plugins" / "tiny"
    plugin.mkdir(parents=True)
    (plugin / "plugin.toml").write_text('world = "sensor-plugin"\n')
    (plugin / "app.py").write_text(SOURCE)
    return tmp_path


def run(project: Path, *arguments: str) -> None:
    main(["--project", str(project), "plugins", *arguments])


def test_a_plugin_is_built_once_and_again_when_its_source_changed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compile_nothing(command: list[str], *_: object) -> "subprocess.CompletedProcess[str]":
        Path(command[command.index("-o") + 1]).write_bytes(b"component")
        return subprocess.CompletedProcess(command, 0, "", "")

    # tests/harvester/plugins/test_build_errors.py runs the real one.
    monkeypatch.setattr(toolchain, "run", compile_nothing)
    run(project, "build")
    assert "[1/1] tiny: " in capsys.readouterr().out
    run(project, "build")
    assert capsys.readouterr().out == "plugins: 1 up to date\n"
    app = project / "plugins" / "tiny" / "app.py"
    app.write_text(SOURCE + "# changed\n")
    run(project, "list")
    assert capsys.readouterr().out.split() == [
        "tiny",
        "sensor-plugin",
        "not",
        "packed,",
        "outdated",
    ]


def test_an_unknown_plugin_names_those_that_exist(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        run(project, "build", "tinny")
    assert exited.value.code == 2
    assert capsys.readouterr().err == (
        "plugins: found tinny, expected some of tiny; did you mean 'tiny'?\n"
    )


def test_a_folder_without_a_plugin_toml_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project / "plugins" / "bare"
    folder.mkdir()
    with pytest.raises(SystemExit):
        run(project, "build", "bare")
    assert capsys.readouterr().err == (
        f"plugins: {folder} has no plugin.toml; expected one beside app.py\n"
    )


def test_an_empty_folder_has_the_plugins_that_come_with_the_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "list")
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [source.name for source in plugin_source.discover(PROJECT / "plugins")]


def test_a_folder_without_a_contract_builds_with_the_one_that_comes_with_the_program(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(project / "wit")
    run(project, "list")
    assert capsys.readouterr().out.split() == [
        "tiny",
        "sensor-plugin",
        "not",
        "packed,",
        "not",
        "built",
    ]
    assert contract_file(project) == PROJECT / "wit" / "plugin.wit"


@pytest.mark.parametrize("manifest", ["", "world = 1", 'world = "x"\ncolour = 2', "world ="])
def test_a_bad_manifest_is_named(tmp_path: Path, manifest: str) -> None:
    plugin = tmp_path / "tiny"
    plugin.mkdir()
    (plugin / "plugin.toml").write_text(manifest)
    with pytest.raises(MisconfiguredError, match=str(plugin / "plugin.toml")):
        plugin_source.discover(tmp_path)


def test_a_bad_manifest_is_no_obstacle_to_another_plugin(project: Path) -> None:
    other = project / "plugins" / "half-written"
    other.mkdir()
    (other / "plugin.toml").write_text("world =")
    assert [source.name for source in chosen(project, ["tiny"])] == ["tiny"]
    with pytest.raises(MisconfiguredError, match="half-written"):
        chosen(project, [])


def test_all_shipped_plugins_are_found() -> None:
    names = [source.name for source in plugin_source.discover(PROJECT / "plugins")]
    assert names == [
        *("bme680", "dashboard", "dht22", "oled"),
        *("pi4-monitor", "pizero-monitor", "revpi-monitor"),
    ]


LIGHT = PluginDescription(
    title="Light",
    version="1.2.0",
    fields={
        "illuminance": FieldDescription("Light", "lx", "illuminance", range=(0, 65535)),
        "raw": FieldDescription(),
    },
    settings={
        "dark_below": SettingDescription("number", 20, "Dark below", "lx", 0, 1000),
        "order": SettingDescription("choice", "grb", choices=["grb", "rgb"]),
    },
)


def test_inspect_shows_what_the_author_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wasm = tmp_path / "light.wasm"
    by_hand = PROJECT / "tests" / "components" / "by-hand" / "sensor.wat"
    wasm.write_bytes(component_section.append(wat2wasm(by_hand.read_text()), LIGHT))
    run(tmp_path, "inspect", str(wasm))
    assert capsys.readouterr().out.splitlines()[3:9] == [
        "  title    Light",
        "  version  1.2.0",
        "  fields   illuminance: Light in lx, illuminance, 0 to 65535",
        "           raw: raw",
        "  settings dark_below = 20: Dark below, a number from 0 to 1000, in lx",
        '           order = "grb": one of grb, rgb',
    ]
