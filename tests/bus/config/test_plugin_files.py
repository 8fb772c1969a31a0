"""`--check` refuses plugins that do not exist and a role that is not the file's."""

import subprocess
import sys
from pathlib import Path

import pytest

from bus.config import config_file, plugin_files
from bus.contract.description import PluginDescription, SettingDescription
from bus.contract.plugin_file import component_section
from bus.errors import MisconfiguredError
from tests.support import PROJECT

SPOKE = PROJECT / "config" / "spoke.toml"
HUB = PROJECT / "config" / "hub.toml"


def node_agent(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "node_agent", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


def refusal(directory: Path, text: str) -> str:
    """Return what the check says of a file whose plugins are `light` and `built`."""
    plugins = directory / "plugins"
    for file in (plugins / "light" / "plugin.toml", plugins / "built" / "built.wasm"):
        file.parent.mkdir(parents=True)
        file.touch()
    (plugins / "empty").mkdir()
    path = directory / "node.toml"
    path.write_text(f'[plugins]\ndirectory = "plugins"\n{text}')
    with pytest.raises(MisconfiguredError) as raised:
        plugin_files.check(config_file.load(path), path)
    return str(raised.value).replace(f"{directory}/", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('enabled = ["light", "nosuch"]', "plugins.enabled[1]: found 'nosuch'"),
        ('enabled = ["empty"]', "plugins.enabled[0]: found 'empty'"),
        ("[plugins.grants.ligth]\nleds = [1]", "plugins.grants.ligth: found 'ligth'"),
        ("[plugins.limits.buit]\nmemory_mb = 16", "plugins.limits.buit: found 'buit'"),
    ],
)
def test_a_plugin_that_does_not_exist_is_refused(tmp_path: Path, text: str, said: str) -> None:
    found = refusal(tmp_path, text)
    assert found.startswith(f"node.toml: {said}, expected one of ")
    assert "built, " in found
    assert "light" in found
    assert "\n" not in found


LIMITED = PluginDescription(
    settings={
        "high_c": SettingDescription("number", 30.0, max=80, scope="sensor"),
        "alarm": SettingDescription("switch", default=True),
    }
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("high_c = 99", "high_c: found 99, expected a number of at most 80"),
        ("hihg_c = 9", "hihg_c: found an unknown setting, expected one of high_c"),
        (
            "[plugins.settings.room.sensors.room-1]\nhigh_c = 99",
            "sensors.room-1.high_c: found 99, expected a number of at most 80",
        ),
        (
            "[plugins.settings.room.sensors.room-1]\nalarm = true",
            "sensors.room-1.alarm: found a setting of the whole plugin, expected one of high_c",
        ),
    ],
)
def test_a_setting_that_does_not_fit_its_component_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    wasm = tmp_path / "plugins" / "room" / "room.wasm"
    wasm.parent.mkdir(parents=True)
    wasm.write_bytes(component_section.append(b"\0asm\x0d\0\x01\0", LIMITED))
    path = tmp_path / "node.toml"
    path.write_text(f'[plugins]\ndirectory = "plugins"\n[plugins.settings.room]\n{text}\n')
    with pytest.raises(MisconfiguredError, match=f"node.toml: plugins.settings.room.{said}"):
        plugin_files.check(config_file.load(path), path)


def test_a_misspelt_name_is_told_what_it_may_have_meant(tmp_path: Path) -> None:
    text = "[plugins.grants.ligth]\nleds = [1]"
    assert refusal(tmp_path, text).endswith("did you mean 'light'?")


@pytest.mark.parametrize("role", ["hub", "spoke", "pizero"])
def test_the_shipped_configurations_name_plugins_that_exist(role: str) -> None:
    path = PROJECT / "config" / f"{role}.toml"
    plugin_files.check(config_file.load(path), path)


def test_check_exits_with_2_and_one_line_for_a_plugin_that_does_not_exist() -> None:
    done = node_agent(
        "--config", str(SPOKE), "--check", "--set", 'plugins.enabled=["dht22", "nosuch"]'
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{SPOKE}: plugins.enabled[1]: found 'nosuch', expected one of ")


@pytest.mark.parametrize(
    ("role", "path", "declared"), [("hub", SPOKE, "spoke"), ("spoke", HUB, "hub")]
)
@pytest.mark.parametrize("more", [["--check"], ["--simulate"]], ids=["check", "run"])
def test_a_role_that_is_not_the_files_is_refused(
    role: str, path: Path, declared: str, more: list[str]
) -> None:
    done = node_agent("--role", role, "--config", str(path), *more)
    assert done.returncode == 2
    assert done.stderr == (
        f"{path}: cluster.role: found {declared!r}, expected {role!r}, as --role says\n"
    )


def test_a_file_without_a_role_takes_the_command_lines(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[cluster]\nnode_id = "x"\n')
    assert config_file.load(path, role="hub").cluster.role == "hub"
    assert config_file.load(path).cluster.role == "spoke"
