"""Descriptions of sensors: every value that comes is described, and nothing that does not exist."""

from pathlib import Path

import msgspec
import pytest

from bus.config.settings import Config
from bus.contract.bounds import MAX_FIELDS
from bus.contract.commands import NamesCommand
from bus.contract.description import Band, FieldDescription, Fields, SensorDescription
from node_agent.descriptions.names import Names
from node_agent.descriptions.sensors import (
    FORGOTTEN_AFTER_S,
    Resolve,
    SensorDescriptions,
    as_described,
)

AIR: Fields = {
    "score": FieldDescription(label="Air quality"),
    "temperature": FieldDescription(label="Temperature", unit="\u00b0C"),
}


class Node:
    """One run of a node, with what it published."""

    def __init__(self, directory: Path, plugins: tuple[str, ...] = ("air",)) -> None:
        self.now_s = 0.0
        self.said: list[tuple[str, SensorDescription | None]] = []
        self.resolve: Resolve = as_described
        self.names = Names(Config(), directory / "names.json")
        self.sensors = SensorDescriptions(
            lambda sensor_id, said: self.said.append((sensor_id, said)),
            self.names,
            directory / "described-sensors.json",
            dict.fromkeys(plugins, self._resolve),
            lambda: self.now_s,
        )

    def _resolve(self, sensor_id: str, fields: Fields) -> Fields:
        return self.resolve(sensor_id, fields)

    def hear(self, sensor_id: str, *fields: str, plugin: str = "air", said: Fields = AIR) -> None:
        self.sensors.hear(plugin, said, [(sensor_id, fields)], 2.0)

    def last(self) -> SensorDescription:
        said = self.said[-1][1]
        assert said is not None
        return said


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_sensor_is_described_when_it_is_first_read_and_not_again(node: Node) -> None:
    node.hear("air-1", "score", "temperature")
    node.hear("air-1", "score", "temperature")
    assert node.said == [("air-1", SensorDescription("air", "", "", 2.0, AIR))]


def test_a_field_that_is_not_valid_yet_is_described_with_the_one_that_says_so(node: Node) -> None:
    said: Fields = {"score": FieldDescription(pending="accuracy"), "accuracy": FieldDescription()}
    node.hear("air-1", "accuracy", said=said)
    assert node.last().fields == said


def test_a_described_field_is_left_out_until_it_comes(node: Node) -> None:
    node.hear("air-1", "temperature")
    assert list(node.last().fields) == ["temperature"]
    node.hear("air-1", "temperature", "score")
    assert list(node.last().fields) == ["score", "temperature"]
    node.hear("air-1", "temperature")
    assert len(node.said) == 2


def test_a_field_that_nobody_described_is_there_without_words(node: Node) -> None:
    node.hear("air-1", "pressure", "temperature")
    assert node.last().fields == {"temperature": AIR["temperature"], "pressure": FieldDescription()}


def test_another_description_is_published_at_the_next_reading(node: Node) -> None:
    node.hear("air-1", "temperature")
    node.hear("air-1", "temperature", said={"temperature": FieldDescription(label="T")})
    assert node.last().fields["temperature"].label == "T"


def test_a_new_name_is_published_at_once(node: Node) -> None:
    node.hear("air-1", "temperature")
    node.names.give(NamesCommand("air-1", "Desk", "Office"), ["air-1"])
    node.sensors.publish_changed()
    assert (node.last().title, node.last().area) == ("Desk", "Office")


def test_a_value_that_a_setting_takes_away_is_described_no_more(node: Node) -> None:
    node.hear("air-1", "temperature", "score")
    node.hear("other-1", "temperature", "score", plugin="other")
    node.sensors.settings_changed("air")
    assert len(node.said) == 2
    # This poll had begun before the change.
    node.hear("air-1", "temperature", "score")
    node.hear("air-1", "temperature")
    assert node.said[2:] == [
        ("air-1", SensorDescription("air", "", "", 2.0, {"temperature": AIR["temperature"]}))
    ]
    node.hear("air-1", "temperature", "score")
    assert list(node.last().fields) == ["score", "temperature"]


def test_a_limit_that_follows_a_setting_is_published_when_that_changes(node: Node) -> None:
    node.hear("air-1", "temperature", "score")
    described = {name: FieldDescription(bands=[Band(9, "ok")]) for name in ("score", "temperature")}
    node.resolve = lambda sensor_id, _: described if sensor_id == "air-1" else {}
    node.sensors.publish_changed()
    assert node.last().fields == described
    node.hear("air-1", "temperature")
    node.sensors.publish_changed()
    assert len(node.said) == 2


def test_everything_is_published_again_after_a_connection(node: Node) -> None:
    node.hear("air-1", "temperature")
    node.sensors.publish_all()
    assert node.said[0] == node.said[1]


def test_the_sensors_of_a_plugin_that_is_no_longer_enabled_are_cleared(
    node: Node, tmp_path: Path
) -> None:
    node.hear("air-1", "temperature")
    node.hear("light-1", "lux", plugin="light")
    node.sensors.save()
    later = Node(tmp_path, ("air",))
    later.sensors.publish_all()
    assert later.said == [("light-1", None)]
    assert later.sensors.ids == ["air-1"]


def test_a_sensor_that_another_plugin_took_over_is_not_cleared(node: Node, tmp_path: Path) -> None:
    node.hear("air-1", "temperature", plugin="old")
    node.sensors.save()
    later = Node(tmp_path)
    later.hear("air-1", "temperature")
    later.sensors.publish_all()
    assert all(said is not None for _, said in later.said)


def test_a_sensor_that_its_plugin_reports_no_longer_is_cleared_after_a_day(node: Node) -> None:
    node.hear("air-1", "temperature")
    node.hear("air-2", "temperature")
    node.now_s = FORGOTTEN_AFTER_S + 1
    node.hear("air-1", "temperature")
    assert node.said[-1] == ("air-2", None)
    assert node.sensors.ids == ["air-1"]


def test_a_plugin_that_reports_nothing_keeps_its_sensors(node: Node) -> None:
    node.hear("air-1", "temperature")
    node.now_s = FORGOTTEN_AFTER_S + 1
    node.sensors.hear("air", AIR, [], 2.0)
    node.hear("light-1", "lux", plugin="light")
    assert node.sensors.ids == ["air-1", "light-1"]


def test_fields_whose_names_never_end_do_not_grow_without_end(node: Node) -> None:
    for i in range(MAX_FIELDS + 10):
        node.hear("air-1", f"field-{i}")
    assert len(node.last().fields) == MAX_FIELDS


def test_a_damaged_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "described-sensors.json").write_bytes(msgspec.json.encode({"A B": 1}))
    assert Node(tmp_path).sensors.ids == []
