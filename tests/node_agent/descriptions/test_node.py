"""A node describes itself and its sensors on a real broker, with a component made by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from bus.contract.description import About, FieldDescription, PluginDescription, SensorDescription
from bus.contract.messages import Result
from bus.contract.plugin_file import component_section
from bus.contract.topics import Topic, TopicKind
from tests.support import HOST, PROJECT, Listener, Said, Service, embedded_broker, free_port

BY_HAND = PROJECT / "tests" / "components" / "by-hand" / "sensor.wat"
SENSOR = "harvester/pi4/sensors/by-hand"
DESCRIPTION = PluginDescription(
    title="Answer",
    fields={
        "answer": FieldDescription(label="Answer", unit="lx"),
        "never": FieldDescription(label="Never"),
    },
)
CONFIG = """
[cluster]
node_id = "pi4"
title = "Cellar"
area = "House"
[names.by-hand]
title = "Desk"
[broker]
url = "mqtt://{host}:{port}"
[polling]
interval_seconds = 0.2
[buzzer]
[plugins]
directory = "plugins"
enabled = {enabled}
target = "pulley64"
[hardware]
driver = "simulated"
[storage]
state_dir = "state"
cache_dir = "cache"
"""


class Node:
    """A folder with one node and its plugin."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port
        self.wasm = directory / "plugins" / "answer" / "answer.wasm"
        self.wasm.parent.mkdir(parents=True)
        self.write(component_section.append(wat2wasm(BY_HAND.read_text()), DESCRIPTION))

    def write(self, component: bytes) -> None:
        partial = self.wasm.with_suffix(".partial")
        partial.write_bytes(component)
        partial.replace(self.wasm)

    def start(self, enabled: str = '["answer"]') -> Service:
        file = self.directory / "spoke.toml"
        file.write_text(CONFIG.format(host=HOST, port=self.port, enabled=enabled))
        arguments = ["--role", "spoke", "--config", str(file)]
        return Service("node_agent.cli", arguments, self.directory / "agent.log")


@pytest.fixture
def port() -> Iterator[int]:
    port = free_port()
    with embedded_broker(port):
        yield port


@pytest.fixture
def listener(port: int) -> Iterator[Listener]:
    with Listener(port) as ears:
        yield ears


@pytest.fixture
def node(tmp_path: Path, port: int) -> Node:
    return Node(tmp_path, port)


def sensor(said: Said) -> SensorDescription:
    assert isinstance(said.message, SensorDescription)
    return said.message


def order(listener: Listener, payload: bytes) -> Result:
    heard = len(listener.said)
    listener.publish(Topic("pi4", TopicKind.COMMAND, "names"), payload)
    result = listener.wait_topic("harvester/pi4/names/result", after=heard).message
    assert isinstance(result, Result)
    return result


def test_every_value_that_comes_is_described_and_nothing_else(
    node: Node, listener: Listener
) -> None:
    with node.start():
        found = sensor(listener.wait_topic(SENSOR))
    assert found == SensorDescription(
        "answer", "Desk", "House", 0.2, {"answer": DESCRIPTION.fields["answer"]}
    )


def test_a_node_tells_of_itself(node: Node, listener: Listener) -> None:
    with node.start():
        said = listener.wait_topic("harvester/pi4/about").message
    assert isinstance(said, About)
    assert (said.title, said.area) == ("Cellar", "House")
    assert said.versions.keys() == {"harvester", "python", "wasmtime"}
    assert said.actuators.keys() == {"buzzer", "names", "plugins", "update"}
    assert said.arch


def test_a_command_names_sensor_and_node_for_good(node: Node, listener: Listener) -> None:
    with node.start() as first:
        listener.wait_topic(SENSOR)
        assert order(listener, b'{"sensor": "by-hand", "title": "Shelf"}').ok
        assert order(listener, b'{"title": "Attic", "area": "Roof"}').ok
        listener.wait_for(
            lambda said: (
                isinstance(said.message, About)
                and (said.message.title, said.message.area) == ("Attic", "Roof")
            )
        )
        refused = order(listener, b'{"sensor": "nobody", "title": "X", "id": "7"}')
        assert (refused.ok, refused.id) == (False, "7")
        assert refused.error == "sensor: found 'nobody', expected one of by-hand"
        assert first.stop() == 0
    heard = len(listener.said)
    with node.start():
        again = sensor(listener.wait_topic(SENSOR, after=heard))
    assert (again.title, again.area) == ("Shelf", "Roof")


def test_a_component_without_a_description_has_its_values_described_without_words(
    node: Node, listener: Listener
) -> None:
    with node.start():
        listener.wait_topic(SENSOR)
        node.write(wat2wasm(BY_HAND.read_text()))
        listener.wait_for(
            lambda said: (
                isinstance(said.message, SensorDescription)
                and said.message.fields == {"answer": FieldDescription()}
            )
        )


def test_the_topics_of_a_plugin_that_is_no_longer_enabled_are_emptied(
    node: Node, listener: Listener
) -> None:
    topics = [SENSOR, "harvester/pi4/readings/by-hand", "harvester/pi4/plugins/answer"]
    with node.start() as first:
        for topic in topics:
            listener.wait_topic(topic)
        assert first.stop() == 0
    heard = len(listener.said)
    with node.start("[]"):
        for topic in topics:
            assert listener.wait_topic(topic, after=heard).payload == b""


def test_everything_is_told_to_a_broker_that_forgot_it(node: Node) -> None:
    with embedded_broker(node_port := free_port()), Listener(node_port) as first:
        node.port = node_port
        service = node.start()
        first.wait_topic(SENSOR)
    with service, embedded_broker(node_port), Listener(node_port) as second:
        assert sensor(second.wait_topic(SENSOR)).title == "Desk"
        assert second.wait_topic("harvester/pi4/about").message is not None
