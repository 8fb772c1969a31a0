"""What the service runs after its agent has ended, however that was."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bus.config import config_file
from bus.config.settings import Config
from bus.contract.messages import Buzzer
from bus.contract.topics import Topic, TopicKind
from node_agent.release import main, release
from tests.support import HOST, PROJECT, WAIT_S, Listener, Service, embedded_broker, free_port
from tests.test_deploy import service_of

UNIT = PROJECT / "deploy" / "harvester-agent@.service"
CONFIG = """
[cluster]
node_id = "pi4"
[broker]
url = "mqtt://{host}:{port}"
[polling]
interval_seconds = 0.2
[leds]
count = 3
[buzzer]
[fan]
[hardware]
driver = "simulated"
record_file = "record.jsonl"
[storage]
state_dir = "state"
cache_dir = "cache"
"""
DARK = ["#000000"] * 3


class Node:
    """The configuration of one node, and what its hardware recorded."""

    def __init__(self, directory: Path, port: int) -> None:
        self.port = port
        self.directory = directory
        self.file = directory / "spoke.toml"
        self.file.write_text(CONFIG.format(host=HOST, port=port))

    def config(self, *overrides: str) -> Config:
        return config_file.load(self.file, overrides)

    def recorded(self, event: str) -> list[dict[str, Any]]:
        lines = (self.directory / "record.jsonl").read_text().splitlines()
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]

    def relays(self) -> list[tuple[str, bool]]:
        return [(entry["relay"], entry["on"]) for entry in self.recorded("relay")]

    def unit_command(self, key: str) -> list[str]:
        """Return a command line of the unit file with the paths of this machine."""
        text = service_of(UNIT)[key].replace("%i", "spoke")
        text = text.replace("/opt/harvester/.venv/bin/", f"{Path(sys.executable).parent}/")
        return shlex.split(text.replace("/etc/harvester/", f"{self.directory}/"))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path, free_port())


def test_every_relay_is_released_and_the_strip_dark(node: Node) -> None:
    assert release(node.config())
    assert node.relays() == [("buzzer", False), ("fan", False)]
    assert node.recorded("leds")[-1]["pixels"] == DARK


def test_every_output_of_an_enabled_plugin_is_at_its_safe_level(node: Node) -> None:
    grants = (
        'plugins.enabled=["door"]',
        'plugins.grants.door.outputs=[{pin = 22, safe = "low"}, {pin = 23, safe = "high"}]',
        'plugins.grants.off.outputs=[{pin = 24, safe = "low"}]',
    )
    assert release(node.config(*grants))
    levels = [(entry["pin"], entry["high"]) for entry in node.recorded("gpio")]
    assert levels == [(22, False), (23, True)]


def test_a_node_without_actuators_has_nothing_to_release(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    keys = ("hardware.driver=simulated", f"hardware.record_file={record}")
    assert release(config_file.load(None, (*keys, "broker.url=mqtt://127.0.0.1")))
    assert record.read_text() == ""


@pytest.fixture
def without_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a Pi, too, no test may reach what is wired to it."""
    for name in ("RPi.GPIO", "rpi_ws281x"):
        monkeypatch.setitem(sys.modules, name, None)


def test_each_part_that_cannot_be_released_is_named_and_the_others_are_tried(
    node: Node, without_libraries: None, caplog: pytest.LogCaptureFixture
) -> None:
    assert not release(node.config("hardware.driver=raspberry-pi"))
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(":")[0] for line in said] == ["buzzer relay", "fan relay", "LED strip"]


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("leds.count=3", 0),
        ("hardware.driver=raspberry-pi", 1),
        ("hardware.scenario=missing.toml", 2),
        ("buzzer.pin=99", 2),
    ],
)
def test_the_exit_code_says_who_must_act(
    node: Node, without_libraries: None, override: str, code: int
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--config", str(node.file), "--set", override])
    assert exited.value.code == code


def test_it_loads_neither_the_plugin_host_nor_the_bus() -> None:
    script = """
import sys
import node_agent.release
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"wasmtime", "paho", "amqtt", "starlette"}, loaded
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=PROJECT, timeout=WAIT_S)


def test_the_units_stop_step_releases_the_buzzer_of_an_agent_that_was_killed(
    node: Node, tmp_path: Path
) -> None:
    command = Topic("pi4", TopicKind.COMMAND, "buzzer")
    with (
        embedded_broker(node.port),
        Listener(node.port) as ears,
        Service("node_agent.cli", node.unit_command("ExecStart")[1:], tmp_path / "log") as agent,
    ):
        ears.wait_topic(str(Topic("pi4", TopicKind.STATUS)))
        ears.publish(command, b'{"count": 20, "duration_ms": 9000}')
        ears.wait_for(lambda said: isinstance(said.message, Buzzer) and said.message.sounding)
        ears.wait_for(lambda _: ("buzzer", True) in node.relays())
        agent.process.kill()
        agent.process.wait(WAIT_S)
    before = len(node.relays())
    assert node.relays()[-1] == ("buzzer", True)
    subprocess.run(node.unit_command("ExecStopPost"), check=True, timeout=WAIT_S)
    assert node.relays()[before:] == [("buzzer", False), ("fan", False)]
    assert node.recorded("leds")[-1]["pixels"] == DARK
