"""Every command of docs/plugins.md that ends by itself, run in the guide's order."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bus.config import config_file
from harvester.plugins import manifest
from node_agent.hal.simulated import scenario_file
from node_agent.hal.simulated.models.load import load
from tests.support import PROJECT

GUIDE = (PROJECT / "docs" / "plugins.md").read_text()
COMMAND = re.compile(r"^    ((?:harvester|pytest|mypy) .*)$", re.MULTILINE)
# These run until Ctrl-C; `dev` has a test of its own, and `up` the end-to-end tests.
ENDLESS = ("harvester plugins dev", "harvester up")


def commands() -> list[str]:
    return [line for line in COMMAND.findall(GUIDE) if not line.startswith(ENDLESS)]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def greenhouse(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what each command printed; the guide's changes are made before the first build."""
    project = tmp_path_factory.mktemp("guide")
    for folder in ("wit", "config", "stubs"):
        shutil.copytree(PROJECT / folder, project / folder)
    shutil.copy(PROJECT / "pyproject.toml", project)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    printed = {}
    for command in commands():
        done = subprocess.run(
            command.split(),
            cwd=project,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        printed[command] = done.stdout
        if command.startswith("harvester plugins new"):
            change(project / "plugins" / "greenhouse" / "app.py")
    return printed


def change(app: Path) -> None:
    constants, lines = blocks("python")[:2]
    green, set_green = "GREEN = (0, 255, 0)\n", "        led_controller.set_led(LED, *GREEN)\n"
    source = app.read_text()
    assert source.count(green) == source.count(set_green) == 1
    app.write_text(source.replace(green, green + constants).replace(set_green, lines))


def test_every_command_of_the_guide_works(greenhouse: dict[str, str]) -> None:
    assert [command.split()[:3] for command in greenhouse] == [
        ["harvester", "plugins", "new"],
        ["pytest", "plugins/greenhouse"],
        ["harvester", "plugins", "test"],
        ["mypy", "plugins/greenhouse/app.py"],
        ["harvester", "plugins", "inspect"],
    ]


def test_the_guide_shows_what_a_trial_prints(greenhouse: dict[str, str]) -> None:
    printed = greenhouse["harvester plugins test greenhouse --grant-all"]
    shown = re.findall(r"^      (\w+ +\S+)", GUIDE, re.MULTILINE)
    assert shown
    for line in shown:
        # The words before what differs from run to run.
        assert re.split(r"[('\d]", line)[0] in printed


def test_the_guides_grants_are_those_that_the_trial_advises(greenhouse: dict[str, str]) -> None:
    printed = greenhouse["harvester plugins test greenhouse --grant-all"]
    advised = printed.partition("[plugins.grants.greenhouse]\n")[2].splitlines()
    shown = blocks("toml")[1].partition("[plugins.grants.greenhouse]\n")[2].splitlines()
    assert sorted(shown) == sorted(advised)


def test_the_guides_configuration_is_taken(tmp_path: Path) -> None:
    shipped = (PROJECT / "config" / "spoke.toml").read_text()
    enabled, _, grants = blocks("toml")[1].removeprefix("[plugins]\n").partition("\n")
    config = tmp_path / "spoke.toml"
    config.write_text(re.sub(r"^enabled = .*$", enabled, shipped, flags=re.MULTILINE) + grants)
    assert config_file.load(config).plugins.enabled[-1] == "greenhouse"


def test_the_guides_description_is_taken(tmp_path: Path) -> None:
    (described,) = (block for block in blocks("toml") if "[fields." in block)
    (tmp_path / "plugin.toml").write_text(described, encoding="utf-8")
    said = manifest.read(tmp_path / "plugin.toml").description
    assert (list(said.fields), list(said.settings)) == (["illuminance"], ["dark_below"])


def test_the_guides_scenarios_are_taken(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    written = [block for block in blocks("toml") if "[[faults]]" in block]
    assert len(written) == 2
    for block in written:
        scenario.write_text(block)
        assert scenario_file.load(str(scenario), plugins=("greenhouse", "light")).faults


def test_the_guides_signal_of_an_input_is_taken(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    (block,) = (block for block in blocks("toml") if "[inputs." in block)
    scenario.write_text(block)
    (signal,) = scenario_file.load(str(scenario)).input_signals().values()
    # Three pulses to low, and the low level at the end.
    assert len(signal.transitions(idle_high=False)) == 8


def test_the_guides_simulated_chip_answers(tmp_path: Path) -> None:
    file = tmp_path / "simulated.py"
    file.write_text(blocks("python")[2])
    found = load(file)
    assert found.problems == []
    (chip,) = found.chips
    assert (chip.places, chip.keys) == (["0x23"], {"illuminance_lx": 300.0})
    light = chip.make()
    with pytest.raises(OSError, match="powered down"):
        light.transfer(b"", 2, 0.0)
    light.transfer(b"\x10", 0, 0.1)
    assert light.transfer(b"", 2, 0.3) == (360).to_bytes(2, "big")
