"""A record of a node's process with a chip that stops answering, replayed by other processes."""

import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bus.contract.messages import Costs, PluginRecord
from bus.contract.topics import Topic, TopicKind
from harvester.cli import main
from harvester.plugins.project import CACHE
from harvester.plugins.replay.replaying import spelled
from node_agent.recorder import record_file
from node_agent.recorder.events import Returned
from node_agent.recorder.recorder import Steps
from tests import built_components
from tests.support import HOST, PROJECT, Listener, Said, Service, embedded_broker, free_port

TIMEOUT_S = 120
APP = """import random
import socket
import time
import uuid

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import gpio_provider, i2c, led_controller

ADDRESS = 0x23


class SensorLogic(exports.SensorLogic):
    def __init__(self) -> None:
        self.polls = 0

    def poll(self) -> list[Reading]:
        self.polls += 1
        i2c.transfer(ADDRESS, "10", 0)
        time.sleep(0.05)
        try:
            lux = int(i2c.transfer(ADDRESS, "", 2), 16)
        except Err as e:
            led_controller.set_led(4, 255, 0, 255)
            try:
                socket.create_connection(("localhost", 80))
            except OSError as no_network:
                seen = f"{random.random()} {time.time_ns()} {uuid.uuid4()} {no_network!r}"
            raise RuntimeError(f"{e.value}, {self.polls} polls, {seen}") from e
        return [Reading("light", gpio_provider.get_timestamp_ms(), [("lux", lux + self.polls)])]
"""
CHIP = """class Bh1750:
    bus = "i2c"
    address = 0x23
    reads = 3.0

    def __init__(self):
        self.done = 0

    def transfer(self, write, read_length, now_s):
        self.done += read_length > 0
        if read_length and self.done == self.reads + 1:
            raise OSError("the wire is loose")
        return bytes(read_length)
"""
CONFIG = """
[cluster]
node_id = "pi4"
[broker]
url = "mqtt://{host}:{port}"
[polling]
interval_seconds = 0.2
[plugins]
directory = "plugins"
enabled = ["light"]
poll_deadline_s = 30.0
load_deadline_s = 60.0
[plugins.grants.light]
i2c = ["0x23"]
leds = [4]
[hardware]
driver = "simulated"
[storage]
state_dir = "state"
cache_dir = "{cache}"
"""


def plugin_in(project: Path, app: str = APP) -> Path:
    folder = project / "plugins" / "light"
    folder.mkdir(parents=True)
    (folder / "plugin.toml").write_text('world = "sensor-plugin"\n')
    (folder / "app.py").write_text(app)
    (folder / "simulated.py").write_text(CHIP)
    return folder


class Recorded(msgspec.Struct, frozen=True):
    """Messages of a node's process, and a file of the record in another folder."""

    fault: PluginRecord
    command: PluginRecord
    costs: Costs
    file: Path
    elsewhere: Path


def has_cost_of_polls(said: Said) -> bool:
    return isinstance(said.message, Costs) and said.message.plugins["light"].polls >= 4


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    node, elsewhere = tmp_path_factory.mktemp("node"), tmp_path_factory.mktemp("elsewhere")
    plugin_in(node)
    built_components.packed(node / "plugins")
    port = free_port()
    config = CONFIG.format(host=HOST, port=port, cache=built_components.CACHE)
    (node / "spoke.toml").write_text(config)
    arguments = ["--role", "spoke", "--config", str(node / "spoke.toml")]
    service = Service("node_agent.cli", arguments, node / "agent.log")
    with embedded_broker(port), Listener(port) as listener, service:
        topic = Topic("pi4", TopicKind.RECORD, "light")
        fault = listener.wait_topic(str(topic)).message
        costs = listener.wait_for(has_cost_of_polls).message
        heard = len(listener.said)
        command = b'{"plugin": "light", "action": "record"}'
        listener.publish(Topic("pi4", TopicKind.COMMAND, "plugins"), command)
        by_command = listener.wait_topic(str(topic), after=heard).message
    assert isinstance(fault, PluginRecord)
    assert isinstance(by_command, PluginRecord)
    assert isinstance(costs, Costs)
    (elsewhere / CACHE).parent.mkdir(mode=0o700)
    (elsewhere / CACHE).symlink_to(built_components.CACHE)
    file = elsewhere / "light.record"
    file.write_bytes(fault.content)
    shutil.rmtree(node)
    return Recorded(fault, by_command, costs, file, elsewhere)


def replay(recorded: Recorded, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "harvester.cli", "plugins", "replay", str(recorded.file)]
    return subprocess.run(
        [*command, *options],
        cwd=recorded.elsewhere,
        env={"PYTHONPATH": str(PROJECT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


class Done(msgspec.Struct, frozen=True):
    """Outcome of a command."""

    returncode: int
    stdout: str
    stderr: str


Here = Callable[..., Done]


@pytest.fixture
def replay_here(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> Here:
    """Return a function that replays in this process."""

    def run(file: Path, *options: str) -> Done:
        code = 0
        try:
            main(["--project", str(recorded.elsewhere), "plugins", "replay", str(file), *options])
        except SystemExit as e:
            code = int(e.code or 0)
        return Done(code, *capsys.readouterr())

    return run


def test_a_fault_of_a_chip_is_recorded_with_its_digest(recorded: Recorded) -> None:
    record = record_file.decode(recorded.fault.content, "record")
    assert recorded.fault.reason == record.reason == "fault"
    assert recorded.fault.fault.startswith(
        "RuntimeError: no answer at i2c-1 0x23: the wire is loose, 4 polls, 0."
    )
    assert recorded.fault.polls == 4
    assert record.plugin.sha256 == recorded.fault.sha256 != ""
    assert record.plugin.bundle is not None


def test_the_record_replays_byte_for_byte_in_another_process(recorded: Recorded) -> None:
    """The fault has randomness, the time and a refused connection in its text."""
    done = replay(recorded)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("same: 5 steps, ")
    assert lines[-1].endswith("byte for byte")
    calls = [line for line in lines if line.startswith("  call ")]
    assert "i2c.transfer(0x23, '', 2) -> err 'no answer at i2c-1 0x23: the" in calls[1]
    assert "led_controller.set_led(4, 255, 0, 255)" in calls[2]
    assert f"  fault    {recorded.fault.fault}" in lines
    assert '    File "/0/app.py", line 30, in poll' in lines


def test_a_changed_plugin_is_told_where_it_differs(
    recorded: Recorded, replay_here: Here, tmp_path: Path
) -> None:
    changed = plugin_in(tmp_path, APP.replace("raise RuntimeError(", "raise Err("))
    done = replay_here(recorded.file, "--against", str(changed))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "poll 4 differs: - recorded, + played" in lines
    assert f"-  fault    {recorded.fault.fault}" in lines
    assert any(
        line.startswith("+  err      no answer at i2c-1 0x23: the wire is loose, 4 polls, 0.")
        for line in lines
    )
    assert lines[-1] == "differs in 1 of 5 steps"


def test_a_record_becomes_a_pytest_case(
    recorded: Recorded, replay_here: Here, tmp_path: Path
) -> None:
    folder = plugin_in(tmp_path)
    case = folder / "test_loose_wire.py"
    done = replay_here(recorded.file, "--as-test", str(case), "--against", str(folder))
    assert done.returncode == 0, done.stderr
    assert (folder / "loose_wire.record").read_bytes() == recorded.fault.content
    assert "RuntimeError: no answer at i2c-1 0x23: the wire is loose" in case.read_text()
    assert_passes(case)


def test_without_the_plugins_folder_a_case_plays_the_bundle_in_the_record(
    recorded: Recorded, replay_here: Here
) -> None:
    case = recorded.elsewhere / "test_loose_wire.py"
    done = replay_here(recorded.file, "--as-test", str(case))
    assert done.returncode == 0, done.stderr
    assert_passes(case)


def test_without_any_plugin_a_case_says_what_to_give(
    recorded: Recorded, replay_here: Here, tmp_path: Path
) -> None:
    whole = record_file.decode(recorded.fault.content, "record")
    plugin = msgspec.structs.replace(whole.plugin, bundle=None)
    _, content = record_file.encode(msgspec.structs.replace(whole, plugin=plugin))
    file = tmp_path / "bare.record"
    file.write_bytes(content)
    done = replay_here(file, "--as-test", str(tmp_path / "test_bare.py"))
    assert done.returncode == 2
    assert done.stderr == (
        f"{file}: has no bundle of light, and {recorded.elsewhere} no such plugin; expected the "
        "plugin by --against FOLDER, or the recorded file by --plugin FILE\n"
    )


def assert_passes(case: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", case.name],
        cwd=case.parent,
        env={"PYTHONPATH": str(PROJECT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_record_by_command_has_the_polls_so_far(recorded: Recorded) -> None:
    assert recorded.command.reason in ("command", "fault")
    assert recorded.command.sha256 == recorded.fault.sha256


def test_what_is_no_record_is_refused(replay_here: Here, tmp_path: Path) -> None:
    other = tmp_path / "other.record"
    other.write_bytes(b"nothing")
    done = replay_here(other)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{other}: found no record, expected a record of a plugin")


def test_a_record_without_steps_makes_no_case(
    recorded: Recorded, replay_here: Here, tmp_path: Path
) -> None:
    whole = record_file.decode(recorded.fault.content, "record")
    _, content = record_file.encode(msgspec.structs.replace(whole, steps=Steps([], 0, 0)))
    file = tmp_path / "bare.record"
    file.write_bytes(content)
    done = replay_here(file, "--as-test", str(tmp_path / "test_bare.py"))
    assert (done.returncode, done.stderr) == (2, f"{file}: the record has no steps\n")
    done = replay_here(recorded.file, "--as-test", str(tmp_path / "test_my case.py"))
    assert (done.returncode, done.stderr) == (
        2,
        "--as-test: found 'test_my case.py', expected test_NAME.py\n",
    )


def test_what_is_not_measured_can_be_compared() -> None:
    value = [{"sensor_id": "light", "values": [("a", math.nan), ("b", -math.inf), ("c", 1.5)]}]
    assert spelled(Returned(value)) == {
        "returned": [{"sensor_id": "light", "values": [("a", "nan"), ("b", "-inf"), ("c", 1.5)]}]
    }


def test_a_records_text_commands_no_terminal(
    recorded: Recorded, replay_here: Here, tmp_path: Path
) -> None:
    whole = record_file.decode(recorded.fault.content, "record")
    _, content = record_file.encode(msgspec.structs.replace(whole, fault="\x1b[2Jgone\u202e"))
    file = tmp_path / "terminal.record"
    file.write_bytes(content)
    assert "\n  \\x1b[2Jgone\\u202e\n" in replay_here(file).stdout


def test_a_node_tells_what_each_plugin_costs(recorded: Recorded) -> None:
    cost = recorded.costs.plugins["light"]
    assert cost.polls >= 4
    assert cost.failures >= 1
    assert cost.host_calls >= 3 * cost.polls - 3
    assert 0 < cost.p50_ms <= cost.p99_ms
    assert cost.memory_mb is not None
    assert 5 < cost.memory_mb < 32
