"""docs/plugins.md, walked as its reader does: its files, its commands, and what they print."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.config import config_file
from bus.contract.description import SensorDescription
from bus.contract.messages import Leds
from bus.contract.plugin_file import plugin_description
from bus.contract.topics import parse
from bus.errors import MisconfiguredError
from harvester.errors import BuildError
from harvester.plugins import manifest
from harvester.plugins import source as plugin_source
from harvester.plugins.builder import contract
from harvester.plugins.builder.checks import source_check
from node_agent.hal.simulated import scenario_file
from tests.built_components import CACHE, packed
from tests.harvester.plugins import guide_text
from tests.harvester.plugins.guide_text import GUIDE, Command, blocks, chapter, plain
from tests.harvester.plugins.test_dev import wait_for
from tests.support import (
    HOST,
    PATIENT_S,
    PROJECT,
    WAIT_S,
    Listener,
    Said,
    Service,
    free_port,
    wait_until,
)

pytestmark = pytest.mark.timeout(600)

START_S = 120.0
WRITE, TRY, TYPES, CHANGE, SEE, SET, GIVE = re.findall(r"^## (\d\. .*)$", GUIDE, re.MULTILINE)
TEMPLATE, MISTAKES, CHIPS = "Begin from a template", "Mistakes", "simulated.py"
BEGIN = "Writing a plugin"
# These run until Ctrl-C.
ENDLESS = ("harvester plugins dev", "harvester up")
ENDING = [
    command
    for title in (BEGIN, TRY, TYPES, GIVE, CHIPS)
    for command in guide_text.commands(chapter(title))
    if not command.line.startswith((*ENDLESS, "node-agent"))
]
DEADLINE = "poll_deadline_s = 1.0"
CARD = re.compile(
    r"<h2>(?P<title>[^<]*)</h2></header>"
    r'<div class="reading" data-topic="harvester/pi4/readings/light"[^>]*>'
    r".*?(?P<values><dl>.*?)</dl>",
    re.DOTALL,
)
CONTRACT = contract.read((PROJECT / "wit" / "plugin.wit").read_text())
COMMANDED = parse("harvester/pi4/plugins/cmd")
# curl is on an author's machine, and not on every one that runs tests.
FETCH = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"
CURL = f"{sys.executable} -c '{FETCH}'"


def shell(project: Path, line: str) -> str:
    """Run a line of the guide; return what it printed."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=project,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what each command of the walk printed, but for those of a running system."""
    project = tmp_path_factory.mktemp("guide")
    (project / ".harvester").mkdir(mode=0o700)
    packed(PROJECT / "plugins")
    (project / ".harvester" / "cache").symlink_to(CACHE)
    found = {"": str(project)}
    for title in (WRITE, TRY):
        for name, text in guide_text.files(chapter(title)).items():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(text)
    for command in ENDING:
        found[command.line] = shell(project, command.line)
        if command.line.startswith("harvester init"):
            spoke = project / "config" / "spoke.toml"
            spoke.write_text(spoke.read_text().replace(DEADLINE, f"poll_deadline_s = {PATIENT_S}"))
    return found


@pytest.fixture(scope="module")
def project(printed: dict[str, str]) -> Path:
    return Path(printed[""])


class System:
    """`harvester up` of the guide, on free ports."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._zero_port = free_port()
        self.web_port, self.mqtt_port = free_port(), free_port()
        self._service: Service | None = None

    def start(self, line: str) -> None:
        words = [str(self._project / word) if "/" in word else word for word in line.split()[1:]]
        ports = {"web": self.web_port, "mqtt": self.mqtt_port, "zero": self._zero_port}
        words += [part for name in ports for part in (f"--{name}-port", str(ports[name]))]
        words = ["--project", str(self._project), *words]
        self._service = Service("harvester.cli", words, self._project / "up.log")

    def output(self) -> list[str]:
        return self._service.output().splitlines() if self._service else []

    def stop(self) -> None:
        if self._service is not None:
            with self._service as service:
                code = service.stop()
            self._service = None
            assert code == 0, service.output()

    def run(self, line: str) -> list[str]:
        """Run a command against this system; return the lines that it printed."""
        line = line.replace("curl -s", CURL).replace("127.0.0.1:3000", f"{HOST}:{self.web_port}")
        line = re.sub(r"^(mosquitto_\w+)", rf"\1 -h {HOST} -p {self.mqtt_port} -W 60", line)
        return shell(self._project, line).splitlines()

    def page(self) -> str:
        with urllib.request.urlopen(f"http://{HOST}:{self.web_port}/", timeout=WAIT_S) as answer:
            return str(answer.read().decode())

    def card(self) -> str:
        """Return title and words of the sensor's card on the page; empty without a value."""
        found = CARD.search(self.page())
        words = " ".join(re.sub("<[^>]+>", " ", found["values"]).split()) if found else ""
        return f"{found['title']}: {words}" if found and " lx " in words else ""


@pytest.fixture(scope="module")
def system(project: Path) -> Iterator[System]:
    made = System(project)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def ears(system: System) -> Iterator[Listener]:
    """Listen to the system that runs the plugin by `--plugin`."""
    up = endless(SEE)
    system.start(up.line)
    with Listener(system.mqtt_port, connect_s=START_S) as listener:
        listener.wait_topic("harvester/pi4/readings/light", START_S)
        wait_until(system.card)
        assert [line for line in system.output() if line in up.printed] == up.printed
        yield listener


def endless(title: str) -> Command:
    (found,) = (one for one in guide_text.commands(chapter(title)) if one.line.startswith(ENDLESS))
    return found


@pytest.mark.parametrize("command", ENDING, ids=lambda command: command.line)
def test_a_command_prints_what_the_guide_shows(printed: dict[str, str], command: Command) -> None:
    assert plain(printed[command.line].splitlines()) == plain(command.printed)


def test_the_authors_code_has_under_sixty_lines() -> None:
    walk = guide_text.files(chapter(WRITE))
    assert [Path(name).name for name in walk] == ["plugin.toml", "app.py", "simulated.py"]
    assert sum(len(text.splitlines()) for text in walk.values()) < 60


def test_a_template_is_made_and_tested_as_the_guide_shows(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "config", tmp_path / "config")
    for command in guide_text.commands(chapter(TEMPLATE)):
        shown = plain(shell(tmp_path, command.line).splitlines())
        assert shown == plain(command.printed)


def test_what_is_saved_is_taken_while_the_plugin_runs(project: Path) -> None:
    (watch,) = guide_text.commands(chapter(CHANGE))
    shown = blocks(chapter(CHANGE), "console")[1].splitlines()
    chip = project / "plugins" / "light" / "simulated.py"
    good = chip.read_text()
    words = ["--project", str(project), *watch.line.split()[1:], "--interval", "0.1"]
    with Service("harvester.cli", words, project / "dev.log") as dev:
        place = wait_for(dev, "  reading  light: illuminance 300")
        chip.write_text(good.replace("illuminance_lx = 300.0", "illuminance_lx = 5.0"))
        try:
            for line in shown:
                place = wait_for(dev, f"{line}\n", after=place)
        finally:
            chip.write_text(good)
        assert dev.stop() == 0


def test_the_value_is_on_the_page_on_the_bus_and_in_the_metrics(
    system: System, ears: Listener
) -> None:
    ((title, words),) = re.findall(r'card, `(\w+)`, with "(.*)"', GUIDE)
    wait_until(lambda: system.card() == f"{title}: {words}")
    # A stale sensor has no metric.
    ears.wait_topic("harvester/pi4/readings/light", after=len(ears.said))
    for command in guide_text.commands(chapter(SEE)):
        if command != endless(SEE):
            assert plain(system.run(command.line)) == plain(command.printed)


def test_a_setting_holds_from_the_next_poll_on_and_a_bad_one_is_refused(
    system: System, ears: Listener
) -> None:
    good, bad = guide_text.commands(chapter(SET))
    before = len(ears.said)
    assert plain(system.run(good.line)) == plain(good.printed)
    ears.wait_for(lambda said: dark_below(said) == 400, after=before)
    ears.wait_for(is_red, after=before)
    wait_until(lambda: system.card() == "light: Illuminance 300 lx dark")
    assert plain(system.run(bad.line)) == plain(bad.printed)
    (button,) = re.findall(r'<button[^>]*id="settings-pi4-light"[^>]*>', system.page())
    assert "hidden" not in button


def test_a_node_with_the_guides_lines_runs_it_by_its_name_and_keeps_the_setting(
    system: System, ears: Listener, project: Path
) -> None:
    good, _ = guide_text.commands(chapter(SET))
    system.run(good.line)
    system.stop()
    (lines,) = blocks(chapter(GIVE), "toml")
    enabled, _, tables = lines.removeprefix("[plugins]\n").partition("\n")
    spoke = project / "config" / "spoke.toml"
    changed = re.sub(r"^enabled = .*$", enabled, spoke.read_text(), flags=re.MULTILINE)
    spoke.write_text(changed + tables)
    (check,) = (one for one in guide_text.commands(chapter(GIVE)) if "--check" in one.line)
    assert shell(project, check.line).splitlines() == check.printed
    before = len(ears.said)
    system.start(endless(GIVE).line)
    ears.wait_for(
        lambda said: title_of(said) == ("Desk", "Office") and dark_below(said) == 400,
        START_S,
        after=before,
    )
    wait_until(lambda: system.card() == "Desk: Illuminance 300 lx dark")
    ears.publish(
        COMMANDED, b'{"plugin": "light", "action": "set", "settings": {"dark_below": null}}'
    )
    ears.wait_for(lambda said: dark_below(said) == 30, after=before)


def is_red(said: Said) -> bool:
    leds = said.message
    return said.topic.node == "pi4" and isinstance(leds, Leds) and leds.pixels[4] == "#ff0000"


def dark_below(said: Said) -> object:
    """Return the limit of the first band, where the message describes the sensor."""
    sensor = described(said)
    return sensor.fields["illuminance"].bands[0].below if sensor else None


def title_of(said: Said) -> tuple[str, str]:
    sensor = described(said)
    return (sensor.title, sensor.area) if sensor else ("", "")


def described(said: Said) -> SensorDescription | None:
    is_light = str(said.topic) == "harvester/pi4/sensors/light"
    return said.message if is_light and isinstance(said.message, SensorDescription) else None


def test_the_bundle_alone_carries_the_description(project: Path) -> None:
    folder = project / "plugins" / "light"
    said = plugin_description.read(folder / "light.bundle")
    assert said == manifest.read(folder / "plugin.toml").description


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("app.py", "lux)])]", "lux)])"),
        ("app.py", "i2c, led", "i2cc, led"),
        ("app.py", "class SensorLogic", "class Light"),
        ("app.py", '"dark_below"', '"dark_belw"'),
        ("plugin.toml", '"illuminance"', '"iluminance"'),
        ("plugin.toml", '"lx"', '"lux"'),
        ("plugin.toml", '"dark_below"', '"dark_under"'),
    ],
)
def test_a_mistake_is_the_line_that_the_guide_shows(
    tmp_path: Path, file: str, old: str, new: str
) -> None:
    for name, text in guide_text.files(chapter(WRITE)).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    wrong = tmp_path / "plugins" / "light" / file
    wrong.write_text(wrong.read_text().replace(old, new, 1))
    with pytest.raises((BuildError, MisconfiguredError)) as raised:
        source_check.check(plugin_source.read(wrong.parent), CONTRACT)
    said = str(raised.value).replace(f"{tmp_path}/", "")
    shown = re.findall(
        r"^    (plugins/light/(?:app.py|plugin.toml):.*)$", chapter(MISTAKES), re.MULTILINE
    )
    assert len(shown) == 7
    assert [line for line in shown if said.startswith(line.removesuffix("..."))] != []


def test_the_guides_plugin_of_several_chips_has_no_mistake(project: Path) -> None:
    folder = project / "several" / "light"
    shutil.copytree(project / "plugins" / "light", folder, ignore=shutil.ignore_patterns("*.wasm*"))
    (folder / "app.py").write_text(*blocks(chapter("Several chips of a kind"), "python"))
    source_check.check(plugin_source.read(folder), CONTRACT)
    checked = shell(project, "MYPYPATH=stubs mypy --strict several/light/app.py")
    assert checked.startswith("Success")


def test_in_a_clone_the_types_are_found_without_a_path(project: Path, tmp_path: Path) -> None:
    for folder in ("stubs", "plugins"):
        shutil.copytree(project / folder, tmp_path / folder)
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    (line,) = re.findall(r"there, `(mypy .*)` is enough", chapter(TYPES))
    assert shell(tmp_path, line).startswith("Success")


def test_the_guides_calls_of_interfaces_fit_the_stubs(project: Path) -> None:
    chapters = chapter("plugin.toml") + chapter("Interfaces")
    snippets = "".join(blocks(chapters, "python"))
    assert snippets.count("from wit_world.imports import") == 4
    (project / "snippets.py").write_text(snippets)
    assert shell(project, "MYPYPATH=stubs mypy --strict snippets.py").startswith("Success")


def test_the_guides_settings_of_single_sensors_are_taken(tmp_path: Path) -> None:
    (block,) = blocks(chapter("plugin.toml"), "toml")
    (tmp_path / "spoke.toml").write_text(block)
    given = config_file.load(tmp_path / "spoke.toml").plugins.settings["light"]
    assert given["dark_below"] == 30


def test_the_guides_scenario_is_played(project: Path) -> None:
    (block,) = blocks(chapter(CHIPS), "toml")
    (project / "played.toml").write_text(block)
    line = "harvester plugins test light --grant-all --polls 1 --scenario played.toml"
    assert "  reading  light: illuminance 40\n" in shell(project, line)


def test_the_guides_signal_of_an_input_is_taken(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    (block,) = (block for block in blocks(GUIDE, "toml") if "[inputs." in block)
    scenario.write_text(block)
    (signal,) = scenario_file.load(str(scenario)).input_signals().values()
    # Three pulses to low, and the low level at the end.
    assert len(signal.transitions(idle_high=False)) == 8


def test_the_readmes_plugin_has_no_mistake_and_fits_the_stubs(project: Path) -> None:
    text = (PROJECT / "README.md").read_text()
    folder = project / "readme" / "coretemp"
    folder.mkdir(parents=True)
    world, enabled = blocks(text, "toml")
    (folder / "plugin.toml").write_text(world)
    (folder / "app.py").write_text(*blocks(text, "python"))
    source_check.check(plugin_source.read(folder), CONTRACT)
    checked = shell(project, "MYPYPATH=stubs mypy --strict readme/coretemp/app.py")
    assert checked.startswith("Success")
    (folder / "spoke.toml").write_text(enabled)
    assert config_file.load(folder / "spoke.toml").plugins.enabled[-1] == "coretemp"
