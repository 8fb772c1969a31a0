"""Settings over the bus: a command changes them for good, and a bad value is refused."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from wasmtime import wat2wasm

from bus.contract.description import PluginDescription, SettingDescription, SettingValues
from bus.contract.messages import PluginState, Result
from bus.contract.plugin_file import component_section
from bus.contract.topics import Topic, TopicKind
from tests.support import HOST, PROJECT, Listener, Service, embedded_broker, free_port

BY_HAND = PROJECT / "tests" / "components" / "by-hand" / "sensor.wat"
DESCRIBED = {
    "high_c": SettingDescription("number", 30.0, "Too hot from", min=0, max=80, scope="sensor"),
    "alarm": SettingDescription("switch", default=True),
}
SENSOR = "by-hand"
STATE = "harvester/pi4/plugins/room"
CONFIG = """
[cluster]
node_id = "pi4"
[broker]
url = "mqtt://{host}:{port}"
[polling]
interval_seconds = 0.2
[plugins]
directory = "plugins"
enabled = ["room"]
target = "pulley64"
[plugins.settings.room]
high_c = {high_c}
[hardware]
driver = "simulated"
[storage]
state_dir = "state"
cache_dir = "cache"
"""


class Node:
    """A folder with one node and a plugin that has settings."""

    def __init__(self, directory: Path, port: int, listener: Listener) -> None:
        self.directory = directory
        self.port = port
        self.listener = listener
        wasm = directory / "plugins" / "room" / "room.wasm"
        wasm.parent.mkdir(parents=True)
        said = PluginDescription(settings=DESCRIBED)
        wasm.write_bytes(component_section.append(wat2wasm(BY_HAND.read_text()), said))

    def start(self, high_c: str = "28.0") -> Service:
        file = self.directory / "spoke.toml"
        file.write_text(CONFIG.format(host=HOST, port=self.port, high_c=high_c))
        arguments = ["--role", "spoke", "--config", str(file)]
        return Service("node_agent.cli", arguments, self.directory / "agent.log")

    def state(
        self, after: int = 0, own: SettingValues | None = None, **settings: float | bool
    ) -> PluginState:
        """Wait for a state of the plugin with these settings, and `own` of its sensor."""
        found = self.listener.wait_for(
            lambda said: (
                isinstance(said.message, PluginState)
                and said.message.settings == settings
                and (own is None or said.message.sensors == {SENSOR: own})
            ),
            after=after,
        ).message
        assert isinstance(found, PluginState)
        return found

    def order(self, **command: object) -> Result:
        heard = len(self.listener.said)
        payload = msgspec.json.encode({"plugin": "room", **command})
        self.listener.publish(Topic("pi4", TopicKind.COMMAND, "plugins"), payload)
        result = self.listener.wait_topic("harvester/pi4/plugins/result", after=heard).message
        assert isinstance(result, Result)
        return result


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    port = free_port()
    with embedded_broker(port), Listener(port) as listener:
        yield Node(tmp_path, port, listener)


def test_a_setting_is_visible_and_changes_for_good(node: Node) -> None:
    with node.start() as first:
        assert node.state(high_c=28.0, alarm=True).described == DESCRIBED
        assert node.order(action="set", settings={"high_c": 26.5, "alarm": False}).ok
        node.state(high_c=26.5, alarm=False)
        assert first.stop() == 0
    heard = len(node.listener.said)
    with node.start():
        node.state(heard, high_c=26.5, alarm=False)
        assert node.order(action="set", settings={"high_c": None}).ok
        node.state(heard, high_c=28.0, alarm=False)


def test_a_bad_value_is_refused_with_a_sentence(node: Node) -> None:
    with node.start():
        node.state(high_c=28.0, alarm=True)
        refused = node.order(action="set", settings={"high_c": 99}, id="7")
        assert (refused.ok, refused.id) == (False, "7")
        assert refused.error == "settings.high_c: found 99, expected a number from 0 to 80"
        for command in ({"action": "set"}, {"action": "reload", "settings": {"high_c": 1}}):
            assert not node.order(**command).ok


def test_a_disabled_plugin_is_set_as_well(node: Node) -> None:
    with node.start() as first:
        node.state(high_c=28.0, alarm=True)
        assert node.order(action="disable").ok
        assert first.stop() == 0
    heard = len(node.listener.said)
    with node.start():
        node.listener.wait_topic(STATE, after=heard)
        assert node.order(action="set", settings={"high_c": 20}).ok
        node.state(heard, high_c=20, alarm=True)


def test_a_bad_value_of_the_configuration_stops_the_plugin_with_a_sentence(node: Node) -> None:
    with node.start('"hot"'):
        said = node.listener.wait_for(
            lambda said: isinstance(said.message, PluginState) and bool(said.message.error)
        ).message
    assert isinstance(said, PluginState)
    assert said.state == "failed"
    assert said.error == (
        "plugins.settings.room.high_c: found 'hot', expected a number from 0 to 80"
    )


def test_a_sensor_has_a_value_of_its_own_for_good(node: Node) -> None:
    own = "28.0\n[plugins.settings.room.sensors.by-hand]\nhigh_c = 35.0"
    with node.start(own) as first:
        node.state(own={"high_c": 35.0}, high_c=28.0, alarm=True)
        assert node.order(action="set", sensor=SENSOR, settings={"high_c": 40}).ok
        node.state(own={"high_c": 40}, high_c=28.0, alarm=True)
        assert first.stop() == 0
    heard = len(node.listener.said)
    with node.start():
        node.state(heard, own={"high_c": 40}, high_c=28.0, alarm=True)
        assert node.order(action="set", sensor=SENSOR, settings={"high_c": None}).ok
        node.state(heard, own={}, high_c=28.0, alarm=True)


def test_a_bad_value_of_a_sensor_is_refused_with_a_sentence(node: Node) -> None:
    with node.start():
        node.state(own={}, high_c=28.0, alarm=True)
        for sensor, settings, sentence in (
            (SENSOR, {"high_c": 99}, "settings.high_c: found 99, expected a number from 0 to 80"),
            (
                SENSOR,
                {"alarm": False},
                "settings.alarm: found a setting of the whole plugin, expected one of high_c",
            ),
            ("attic", {"high_c": 9}, "sensor: found 'attic', expected one of by-hand"),
        ):
            refused = node.order(action="set", sensor=sensor, settings=settings)
            assert (refused.ok, refused.error) == (False, sentence)
