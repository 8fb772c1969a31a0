"""topics.md tells the same story as the code."""

import json
import re

import pytest

from broker.auth.acl import OWN, ROLES
from broker.auth.gate import Role
from bus.contract import commands, topics
from bus.contract.messages import MESSAGE_TYPES, Backlog, decode, encode
from bus.contract.topics import ACTUATORS, CHANNELS, Topic, TopicKind
from tests.support import PROJECT

TEXT = (PROJECT / "topics.md").read_text()
SECTIONS = dict(
    re.findall(r"^### `(harvester/[^`]+)`\n(.*?)(?=^### |\Z)", TEXT, re.MULTILINE | re.DOTALL)
)
NAMES = {
    TopicKind.READING: "sensor",
    TopicKind.PLUGIN: "plugin",
    TopicKind.SENSOR: "sensor",
    TopicKind.EVENT: "sensor",
    TopicKind.ALARM: "alarm",
    TopicKind.BUNDLE: "plugin",
    TopicKind.DELIVERY: "plugin",
    TopicKind.RECORD: "plugin",
    TopicKind.SHADOW: "plugin",
}


def shape(kind: TopicKind) -> str:
    """Return how the document writes the topic of `kind`."""
    name = NAMES.get(kind, "actuator")
    return "/".join((topics.ROOT, "<node>", *CHANNELS[kind].levels)).replace("*", f"<{name}>")


def examples(kind: TopicKind) -> list[bytes]:
    return [block.encode() for block in re.findall(r"```json\n(.*?)\n```", SECTIONS[shape(kind)])]


@pytest.mark.parametrize("kind", TopicKind)
def test_every_topic_stands_in_the_table_as_it_is_published(kind: TopicKind) -> None:
    channel = CHANNELS[kind]
    retained = "yes" if channel.retain else "no"
    row = f"| `{shape(kind)}` | {channel.publisher} | {retained} | {channel.qos} |"
    assert row in TEXT


@pytest.mark.parametrize("kind", MESSAGE_TYPES)
def test_every_example_decodes_and_has_every_field(kind: TopicKind) -> None:
    found = examples(kind)
    assert found
    for payload in found:
        topic = topic_of(kind, payload)
        message = decode(topic, payload)
        written = message.readings[0] if isinstance(message, Backlog) else message
        found_fields = json.loads(payload)
        first = found_fields[0] if isinstance(message, Backlog) else found_fields
        assert set(first) == set(written.__struct_fields__)
        assert decode(topic, encode(message)) == message


def topic_of(kind: TopicKind, payload: bytes) -> Topic:
    if kind is TopicKind.READING:
        node, sensor = re.findall(rb'"node": "(.*?)", "sensor_id": "(.*?)"', payload)[0]
        return Topic(node.decode(), kind, sensor.decode())
    names = {
        TopicKind.PLUGIN: "dht22",
        TopicKind.RESULT: "buzzer",
        TopicKind.SENSOR: "light",
        TopicKind.EVENT: "button",
        TopicKind.ALARM: "too-warm--dht22-gpio4",
        TopicKind.BUNDLE: "dht22",
        TopicKind.DELIVERY: "dht22",
        TopicKind.RECORD: "dht22",
        TopicKind.SHADOW: "dht22",
    }
    return Topic("pi4", kind, names.get(kind, ""))


def test_every_command_that_is_shown_is_understood() -> None:
    section = SECTIONS[shape(TopicKind.COMMAND)]
    parsers = {
        "buzzer": commands.parse_buzzer,
        "leds": commands.parse_leds,
        "fan": commands.parse_fan,
        "names": commands.parse_names,
        "plugins": commands.parse_plugin,
        "update": commands.parse_update,
    }
    assert set(parsers) == set(ACTUATORS)
    for actuator, parse in parsers.items():
        part = section.split(f"`{actuator}/cmd` takes")[1].split("/cmd` takes")[0]
        for payload in re.findall(r"```json\n(.*?)\n```", part):
            parse(payload.encode())
    for word in ("beep", "beep3", "long", "off"):
        assert f"`{word}`" in section
        commands.parse_buzzer(word.encode())


def test_no_section_is_about_a_topic_that_does_not_exist() -> None:
    assert set(SECTIONS) == {shape(kind) for kind in TopicKind}


@pytest.mark.parametrize("role", Role)
def test_who_may_do_what_stands_in_the_table_as_it_is_enforced(role: Role) -> None:
    def cell(patterns: tuple[str, ...]) -> str:
        return ", ".join(f"`{text.replace(OWN, '<own>')}`" for text in patterns) or "-"

    rights = ROLES[role]
    cells = (cell(rights.publish), cell(rights.never), cell(rights.read))
    assert f"| {role} | {' | '.join(cells)} |" in TEXT
