"""A whole agent with real components and a real broker: sensor ids and commands."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from wasmtime import wat2wasm

from bus.config.settings import Config
from bus.contract.messages import PluginState, Reading, Result
from bus.contract.topics import Topic, TopicKind
from node_agent.agent import Agent
from node_agent.hal.simulated.board import open_simulated
from node_agent.sandbox.runtime import Runtime
from tests.support import HOST, PROJECT, WAIT_S, Listener, Said, embedded_broker, free_port

NAMES = ["first", "second"]
BY_HAND = PROJECT / "tests" / "components" / "by-hand" / "sensor.wat"


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """Return a folder of two plugins that publish under the same sensor id."""
    folder = tmp_path / "plugins"
    component = wat2wasm(BY_HAND.read_text())
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}.wasm").write_bytes(component)
    return folder


@contextmanager
def bus() -> Iterator[tuple[int, Listener]]:
    """Run a broker without a past; yield its port, and all that is said there."""
    port = free_port()
    with embedded_broker(port), Listener(port) as ears:
        yield port, ears


@contextmanager
def running(port: int, plugins: Path, enabled: list[str], runtime: Runtime) -> Iterator[None]:
    """Run an agent whose state is beside its plugins."""
    state = plugins.with_name("state")
    config = msgspec.convert(
        {
            "cluster": {"node_id": "pi4", "role": "spoke"},
            "broker": {"url": f"mqtt://{HOST}:{port}"},
            "polling": {"interval_seconds": 0.2},
            "storage": {"state_dir": str(state), "runtime_dir": str(state / "run")},
            "hardware": {"driver": "simulated"},
            "plugins": {
                "directory": str(plugins),
                "enabled": enabled,
            },
        },
        Config,
    )
    with closing(open_simulated(config)) as board:
        agent = Agent(config, board, runtime, state)
        thread = threading.Thread(target=agent.run)
        thread.start()
        try:
            yield
        finally:
            agent.stop()
            thread.join(WAIT_S)
            assert not thread.is_alive()


def reads(said: Said, plugin: str) -> bool:
    return isinstance(said.message, Reading) and said.message.plugin == plugin


def is_refused(said: Said, plugin: str) -> bool:
    return (
        said.topic == Topic("pi4", TopicKind.PLUGIN, plugin)
        and isinstance(said.message, PluginState)
        and "belongs to" in said.message.error
    )


def test_a_sensor_id_stays_with_the_first_plugin_over_restarts(
    runtime: Runtime, plugins: Path
) -> None:
    for enabled in (NAMES, NAMES[::-1]):
        with bus() as (port, ears), running(port, plugins, enabled, runtime):
            told = ears.wait_for(lambda said: is_refused(said, "second")).message
            assert isinstance(told, PluginState)
            assert told.error == (
                "sensor id by-hand belongs to plugin first: "
                "readings of plugin second under it are refused"
            )
            ears.wait_for(lambda said: reads(said, "first"))
            assert not [said for said in ears.said if reads(said, "second")]
    with bus() as (port, ears), running(port, plugins, ["second"], runtime):
        ears.wait_for(lambda said: reads(said, "second"))


def test_a_node_answers_commands_for_what_it_does_not_have(runtime: Runtime, plugins: Path) -> None:
    with bus() as (port, ears), running(port, plugins, ["first"], runtime):
        ears.wait_topic("harvester/pi4/heartbeat")
        for actuator, error in (
            ("buzzer", "pi4 has no buzzer: its configuration has no [buzzer]"),
            (
                "siren",
                "pi4 has no siren: expected one of buzzer, fan, leds, names, plugins, update",
            ),
        ):
            ears.publish(Topic("pi4", TopicKind.COMMAND, actuator), b"beep")
            result = ears.wait_topic(f"harvester/pi4/{actuator}/result").message
            assert isinstance(result, Result)
            assert (result.ok, result.error) == (False, error)
