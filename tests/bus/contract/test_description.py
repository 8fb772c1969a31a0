"""Descriptions on the bus: what is published is what the author said, and nothing is guessed."""

import msgspec
import pytest

from bus.contract.description import Band, FieldDescription, SensorDescription
from bus.contract.messages import decode, encode
from bus.contract.topics import Topic, TopicKind
from bus.errors import BadPayloadError

TOPIC = Topic("pi4", TopicKind.SENSOR, "light")


def description(**fields: FieldDescription) -> SensorDescription:
    return SensorDescription("light", "Desk", "Office", 2.0, dict(fields))


def test_the_order_of_the_fields_is_the_order_of_a_card() -> None:
    said = description(b=FieldDescription("B"), a=FieldDescription("A"))
    read = decode(TOPIC, encode(said))
    assert isinstance(read, SensorDescription)
    assert list(read.fields) == ["b", "a"]


def test_a_field_that_says_nothing_costs_nothing_on_the_bus() -> None:
    assert encode(description(x=FieldDescription())).endswith(b'"fields":{"x":{}}}')


def test_a_band_without_a_limit_takes_all_above() -> None:
    said = description(x=FieldDescription(bands=[Band(50, "dark", "muted"), Band(None, "bright")]))
    assert decode(TOPIC, encode(said)) == said


def payload(**changed: object) -> bytes:
    said = {"plugin": "p", "title": "", "area": "", "interval_s": 1.0, "fields": {}}
    return msgspec.json.encode(said | changed)


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"interval_s": 0}, "interval_s"),
        ({"fields": {"x": {"decimals": 99}}}, "decimals"),
        ({"fields": {"x": {"bands": [{"tone": "purple"}]}}}, "tone"),
    ],
)
def test_a_bad_description_is_refused_with_its_place(
    changed: dict[str, object], place: str
) -> None:
    with pytest.raises(BadPayloadError, match=place):
        decode(TOPIC, payload(**changed))
