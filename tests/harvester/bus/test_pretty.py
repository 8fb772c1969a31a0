"""Lines of `harvester bus sub`, and its filters, without a broker."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.client.link import WireMessage
from bus.contract.description import FieldDescription, SensorDescription
from bus.contract.messages import Alarm, Log, encode
from bus.contract.topics import Topic, TopicKind
from harvester.bus.pretty import Names, line
from harvester.bus.subscribe import matches
from tests.hub_app.samples import NOW_MS, heartbeat, reading

NOON = dt.datetime(2026, 11, 26, 12, 0, 0, tzinfo=dt.UTC)
SENSOR = Topic("pi4", TopicKind.SENSOR, "gauge")


def wire(topic: Topic, payload: bytes) -> WireMessage:
    return WireMessage(str(topic), payload)


def shown(topic: Topic, payload: bytes, names: Names | None = None) -> str:
    return line(wire(topic, payload), names or Names(), NOON)


def test_values_have_decimals_units_and_words() -> None:
    fields = {
        "iaq": FieldDescription("IAQ score", decimals=0),
        "p": FieldDescription("Pressure", "hPa", decimals=1),
        "door": FieldDescription("Door", words=["closed", "open"]),
        "up": FieldDescription("Up", "s", duration=True),
    }
    names = Names()
    description = SensorDescription("gauge", "Gauge", "Attic", 2.0, fields)
    names.learn(wire(SENSOR, encode(description)))
    data = {"door": 1, "p": 1013.25, "iaq": 38.2, "up": 7200, "other": True}
    topic, said = reading(NOW_MS, sensor="gauge", **data)
    assert shown(topic, encode(said), names).removeprefix("22:13:20 pi4 ") == (
        "Attic/Gauge IAQ score 38 pressure 1013.2 hPa door open up 2 h 0 min other yes"
    )


def test_other_messages_are_sentences_or_their_payload() -> None:
    log = Log(NOW_MS, "warning", "plugin:dht22", "no answer\non pin 4\x1b[2J")
    assert shown(Topic("pi4", TopicKind.LOG), encode(log)) == (
        "22:13:20 pi4 warning plugin:dht22 no answer\ufffdon pin 4\ufffd[2J"
    )
    alarm = Alarm("critical", "Too warm", NOW_MS)
    assert shown(Topic("pi4", TopicKind.ALARM, "warm"), encode(alarm)) == (
        "12:00:00 pi4 alarm warm critical: Too warm"
    )
    assert shown(Topic("pi4", TopicKind.HEARTBEAT), encode(heartbeat())) == (
        "12:00:00 pi4 heartbeat, up 10 s, 0 in the outbox"
    )
    assert shown(Topic("pi4", TopicKind.COMMAND, "fan"), b"on") == "12:00:00 pi4 fan/cmd on"
    assert shown(Topic("pi4", TopicKind.FAN), b"") == "12:00:00 pi4 fan (empty: removed)"


@given(st.text(max_size=30), st.binary(max_size=60))
def test_anything_is_one_line(topic: str, payload: bytes) -> None:
    made = line(WireMessage(topic, payload), Names(), NOON)
    assert made.isprintable()


@pytest.mark.parametrize(
    ("text", "topic", "expected"),
    [
        ("#", "a/b", True),
        ("#", "$SYS/a", False),
        ("+/b", "$SYS/b", False),
        ("$SYS/#", "$SYS/a", True),
        ("a/#", "a", True),
        ("a/+", "a", False),
        ("a/+/c", "a/b/c", True),
        ("a/b", "a/b/c", False),
        ("a/b/c", "a/b", False),
    ],
)
def test_a_filter_matches_as_mqtt_says(text: str, topic: str, expected: bool) -> None:
    assert matches(text, topic) is expected
