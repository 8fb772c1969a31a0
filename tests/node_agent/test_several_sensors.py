"""A whole agent with three DHT22: each has limits, LED, alarm and name of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w

from bus.contract.description import SensorDescription
from bus.contract.messages import Log, Reading, Result
from bus.contract.topics import Topic, TopicKind
from tests.built_components import CACHE
from tests.support import HOST, Listener, Service, embedded_broker, free_port

# At some 22 degC: too hot in the sauna, too cold in the tropics, right in the living room.
SENSORS = {
    "dht22-gpio17": {"low_c": 5.0, "warm_c": 10.0, "high_c": 15.0, "led": 2},
    "dht22-gpio27": {"low_c": 40.0, "warm_c": 45.0, "high_c": 50.0, "led": -1},
}
NAMES = {"dht22-gpio4": "Living room", "dht22-gpio17": "Sauna", "dht22-gpio27": "Tropics"}
PLUGIN = Topic("pi4", TopicKind.PLUGIN, "dht22")
DARK, GREEN, RED = "#000000", "#00ff00", "#ff0000"


def word(said: SensorDescription, field: str, value: float) -> str:
    """Return the word that a page shows for a value."""
    bands = said.fields[field].bands
    return next(b.word for b in bands if b.limit is None or value < b.limit or value == b.to)


class Node:
    """A running agent, heard over the bus."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def wait(self, topic: Topic, fits: Callable[[Any], bool] = lambda _: True) -> Any:
        """Return the first message on `topic` that fits."""
        said = self.listener.wait_for(
            lambda said: said.topic == topic and said.message is not None and fits(said.message)
        )
        return said.message

    def description(
        self, sensor: str, fits: Callable[[SensorDescription], bool] = lambda _: True
    ) -> SensorDescription:
        found: SensorDescription = self.wait(Topic("pi4", TopicKind.SENSOR, sensor), fits)
        return found

    def words(self, sensor: str) -> list[str]:
        """Return the words for the first values that a sensor published."""
        reading: Reading = self.wait(Topic("pi4", TopicKind.READING, sensor))
        said = self.description(sensor)
        return [word(said, name, float(reading.data[name])) for name in ("temperature", "humidity")]

    def wait_log(self, text: str) -> None:
        self.listener.wait_for(
            lambda said: isinstance(said.message, Log) and text in said.message.message
        )

    def order(self, **command: object) -> Result:
        heard = len(self.listener.said)
        payload = msgspec.json.encode({"plugin": "dht22", "action": "set", **command})
        self.listener.publish(Topic("pi4", TopicKind.COMMAND, "plugins"), payload)
        found = self.listener.wait_topic("harvester/pi4/plugins/result", after=heard).message
        assert isinstance(found, Result)
        return found


CONFIG = {
    "cluster": {"node_id": "pi4"},
    "polling": {"interval_seconds": 0.5},
    "sensors": {"dht22_pins": [4, 17, 27]},
    "leds": {"count": 4},
    "buzzer": {"pin": 22},
    "names": {sensor: {"title": title} for sensor, title in NAMES.items()},
    "storage": {"state_dir": "state", "cache_dir": str(CACHE)},
    "hardware": {"driver": "simulated", "scenario": "scenario.toml"},
    "plugins": {
        "enabled": ["dht22"],
        "poll_deadline_s": 10.0,
        "load_deadline_s": 60.0,
        "settings": {"dht22": {"warm_c": 39.0, "high_c": 40.0, "alarm": False, "sensors": SENSORS}},
        "grants": {"dht22": {"gpio": [4, 17, 27], "leds": [1, 2], "buzzer": True}},
    },
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, bundles: dict[str, Path]) -> Iterator[Node]:
    folder, port = tmp_path_factory.mktemp("node"), free_port()
    (folder / "scenario.toml").write_text("[air]\ntemperature_c = 21.5\nhumidity_pct = 45.0\n")
    file = folder / "spoke.toml"
    tables = msgspec.to_builtins(CONFIG)
    tables["broker"] = {"url": f"mqtt://{HOST}:{port}"}
    tables["plugins"]["directory"] = str(bundles["dht22"].parents[1])
    file.write_text(tomli_w.dumps(tables))
    arguments = ["--role", "spoke", "--config", str(file)]
    with (
        embedded_broker(port),
        Listener(port) as listener,
        Service("node_agent.cli", arguments, folder / "agent.log"),
    ):
        yield Node(listener)


def test_three_sensors_have_limits_leds_and_names_of_their_own(node: Node) -> None:
    for sensor, title in NAMES.items():
        assert node.description(sensor).title == title
    assert node.words("dht22-gpio4") == ["normal", "comfortable"]
    assert node.words("dht22-gpio17") == ["high", "comfortable"]
    assert node.words("dht22-gpio27") == ["low", "comfortable"]
    node.wait_log("dht22-gpio17: temperature: high at ")
    node.wait_log("dht22-gpio27: temperature: low at ")
    # The first LED is the node's heartbeat.
    node.wait(Topic("pi4", TopicKind.LEDS), lambda leds: leds.pixels[1:] == [GREEN, RED, DARK])
    node.wait(PLUGIN, lambda state: state.sensors == {"dht22-gpio4": {}, **SENSORS})


def test_one_sensor_is_set_over_the_bus_and_its_words_follow(node: Node) -> None:
    sensor = "dht22-gpio4"
    assert node.words(sensor) == ["normal", "comfortable"]
    assert node.order(sensor=sensor, settings={"high_c": 10, "dry_pct": 60, "alarm": True}).ok
    node.wait_log(f"{sensor}: temperature: high at ")
    node.wait(Topic("pi4", TopicKind.BUZZER), lambda buzzer: buzzer.sounding)
    said = node.description(sensor, lambda said: said.fields["humidity"].bands[0].below == 60)
    assert (word(said, "temperature", 21.5), word(said, "humidity", 45)) == ("high", "dry")
    problem = f"settings: {sensor}: bands of temperature: warm_c = 39 is above high_c = 10"
    node.wait(PLUGIN, lambda state: state.error.startswith(problem))
    refused = node.order(sensor=sensor, settings={"led": "none"})
    assert refused.error == "settings.led: found 'none', expected an integer from -1 to 255"
