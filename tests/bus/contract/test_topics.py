import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.contract.topics import (
    CHANNELS,
    NAME_PATTERN,
    RESERVED_NAMES,
    Topic,
    TopicKind,
    is_name,
    is_record,
    parse,
    topic_filter,
)
from bus.errors import BadTopicError

NAMES = st.from_regex(NAME_PATTERN, fullmatch=True).filter(is_name)
# Levels that a topic may have, in any order and number, and some that it may not.
LEVELS = st.sampled_from(
    ["harvester", "cmd", "result", "pi4", "readings", "plugins", "logs", "leds", "", "+", "#", "A"]
)


@st.composite
def topics(draw: st.DrawFn) -> Topic:
    kind = draw(st.sampled_from(TopicKind))
    return Topic(draw(NAMES), kind, draw(NAMES) if "*" in CHANNELS[kind].levels else "")


@given(topics())
def test_a_topic_is_what_its_text_parses_to(topic: Topic) -> None:
    assert parse(str(topic)) == topic


@given(st.text() | st.lists(LEVELS, max_size=6).map("/".join))
def test_garbage_is_a_bad_topic_or_a_topic_that_prints_the_same(text: str) -> None:
    try:
        topic = parse(text)
    except BadTopicError:
        return
    assert str(topic) == text


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("harvester/pi4/status", Topic("pi4", TopicKind.STATUS)),
        ("harvester/pi4/readings/dht22-gpio4", Topic("pi4", TopicKind.READING, "dht22-gpio4")),
        ("harvester/pi4/plugins/oled", Topic("pi4", TopicKind.PLUGIN, "oled")),
        ("harvester/pi4/plugins/cmd", Topic("pi4", TopicKind.COMMAND, "plugins")),
        ("harvester/pi4/buzzer", Topic("pi4", TopicKind.BUZZER)),
        ("harvester/pi4/oled", Topic("pi4", TopicKind.OLED)),
        ("harvester/pi4/buzzer/cmd", Topic("pi4", TopicKind.COMMAND, "buzzer")),
        ("harvester/pi4/leds/result", Topic("pi4", TopicKind.RESULT, "leds")),
        ("harvester/pi4/motor/cmd", Topic("pi4", TopicKind.COMMAND, "motor")),
        ("harvester/pi4/readings/cmd", Topic("pi4", TopicKind.COMMAND, "readings")),
    ],
)
def test_the_topics_of_the_design(text: str, topic: Topic) -> None:
    assert parse(text) == topic
    assert str(topic) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "harvester", "harvester/pi4", "harvester/pi4/", "/harvester/pi4/status"),
        *("other/pi4/status", "harvester/PI4/status", "harvester/pi4/status/x"),
        *("harvester/pi4/readings", "harvester/pi4/readings/"),
        *("harvester/pi4/Motor/cmd", "harvester/pi4/cmd/cmd", "harvester/+/status", "harvester/#"),
        *("harvester/pi4\n/status", "harvester/pi4/readings/a\n", f"harvester/{'a' * 65}/status"),
    ],
)
def test_what_is_no_topic(text: str) -> None:
    with pytest.raises(BadTopicError):
        parse(text)


@pytest.mark.parametrize(
    ("node", "kind", "name"),
    [
        ("", TopicKind.STATUS, ""),
        ("a/b", TopicKind.STATUS, ""),
        ("cmd", TopicKind.STATUS, ""),
        ("pi4", TopicKind.STATUS, "x"),
        ("pi4", TopicKind.READING, ""),
        ("pi4", TopicKind.PLUGIN, "cmd"),
        ("pi4", TopicKind.COMMAND, "a/b"),
    ],
)
def test_a_topic_that_none_can_hold_is_not_built(node: str, kind: TopicKind, name: str) -> None:
    with pytest.raises(BadTopicError):
        Topic(node, kind, name)


def test_every_kind_has_a_channel_and_a_filter() -> None:
    assert set(CHANNELS) == set(TopicKind)
    assert topic_filter(TopicKind.READING) == "harvester/+/readings/+"
    assert topic_filter(TopicKind.COMMAND, node="pi4") == "harvester/pi4/+/cmd"
    assert topic_filter(TopicKind.STATUS) == "harvester/+/status"


def test_reserved_names_are_no_names() -> None:
    assert not any(map(is_name, RESERVED_NAMES))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("harvester/pi4/records/dht22", True),
        ("harvester/records/readings/dht22", False),
        ("harvester/pi4/records/cmd", False),
        ("zigbee2mqtt/pi4/records/dht22", False),
        ("harvester/pi4/records", False),
    ],
)
def test_records_of_plugins_are_told_from_other_topics(text: str, is_one: bool) -> None:
    assert is_record(text) is is_one
