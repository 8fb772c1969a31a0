"""Names of nodes and sensors: a command's before the configuration's, kept over a restart."""

from pathlib import Path

import msgspec
import pytest

from bus.config.settings import Config, NameConfig
from bus.contract.commands import NamesCommand, parse_names
from bus.errors import BadCommandError
from node_agent.descriptions.names import MAX_SENSORS, Names

CONFIG = msgspec.convert(
    {
        "cluster": {"title": "Cellar", "area": "House"},
        "names": {"dht22-gpio4": {"title": "Living room", "area": "Ground floor"}},
    },
    Config,
)
SENSORS = ("dht22-gpio4", "bme680-0x77")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "names.json"


def command(**given: str) -> NamesCommand:
    return parse_names(msgspec.json.encode(given))


def test_the_configuration_names_node_and_sensors(path: Path) -> None:
    names = Names(CONFIG, path)
    assert names.node == NameConfig(title="Cellar", area="House")
    assert names.of_sensor("dht22-gpio4") == NameConfig(title="Living room", area="Ground floor")


def test_a_sensor_without_a_name_is_where_its_node_is(path: Path) -> None:
    assert Names(CONFIG, path).of_sensor("bme680-0x77") == NameConfig(title="", area="House")


def test_a_command_counts_before_the_configuration_and_outlives_a_restart(path: Path) -> None:
    names = Names(CONFIG, path)
    names.give(command(sensor="dht22-gpio4", title="Kitchen"), SENSORS)
    names.give(command(area="Barn"), SENSORS)
    for found in (names, Names(CONFIG, path)):
        assert found.of_sensor("dht22-gpio4") == NameConfig(title="Kitchen", area="Ground floor")
        assert found.node == NameConfig(title="Cellar", area="Barn")
        assert found.of_sensor("bme680-0x77").area == "Barn"


def test_an_empty_name_brings_the_configurations_back(path: Path) -> None:
    names = Names(CONFIG, path)
    names.give(command(sensor="dht22-gpio4", title="Kitchen"), SENSORS)
    names.give(command(sensor="dht22-gpio4", title=""), SENSORS)
    assert names.of_sensor("dht22-gpio4").title == "Living room"
    assert path.read_bytes() == b'{"node":{"title":"","area":""},"sensors":{}}'


def test_a_sensor_that_the_node_has_not_is_refused_with_those_that_it_has(path: Path) -> None:
    with pytest.raises(
        BadCommandError, match="found 'x', expected one of bme680-0x77, dht22-gpio4"
    ):
        Names(CONFIG, path).give(command(sensor="x", title="X"), SENSORS)


def test_names_do_not_grow_without_end(path: Path) -> None:
    sensors = [f"s{i}" for i in range(MAX_SENSORS + 1)]
    kept = {"sensors": {sensor: {"title": "A"} for sensor in sensors[1:]}}
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode(kept))
    with pytest.raises(BadCommandError, match=f"names of {MAX_SENSORS} sensors"):
        Names(CONFIG, path).give(command(sensor="s0", title="A"), sensors)


def test_a_disk_that_refuses_is_told_in_the_result(path: Path) -> None:
    path.parent.write_text("no folder")
    names = Names(CONFIG, path)
    with pytest.raises(BadCommandError, match="the name cannot be kept"):
        names.give(command(title="X"), SENSORS)
    assert names.node.title == "Cellar"


@pytest.mark.parametrize("content", [b"", b"{", b'{"sensors": 1}', b'{"node": {"title": 1}}'])
def test_a_damaged_file_leaves_the_configurations_names(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert Names(CONFIG, path).node.title == "Cellar"


@pytest.mark.parametrize(
    "payload",
    [b"{}", b'{"sensor": "a"}', b'{"title": 1}', b'{"sensor": "A B", "title": "x"}', b"x"],
)
def test_a_command_without_a_name_is_refused(payload: bytes) -> None:
    with pytest.raises(BadCommandError, match=r"a command is|expected \{"):
        parse_names(payload)
