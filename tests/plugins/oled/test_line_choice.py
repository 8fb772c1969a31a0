"""Choice of lines as a person types it."""

import pytest

from tests.plugins.oled.modules import line_choice


@pytest.mark.parametrize(
    ("text", "node", "sensor", "field"),
    [
        ("pi4:dht22-gpio4.temperature", "pi4", "dht22-gpio4", "temperature"),
        ("pizero:*", "pizero", "*", ""),
        ("dht22-gpio4", "*", "dht22-gpio4", ""),
        ("bme680-*.iaq_score", "*", "bme680-*", "iaq_score"),
        ("*:*.*", "*", "*", "*"),
    ],
)
def test_a_choice_is_node_sensor_and_field(text: str, node: str, sensor: str, field: str) -> None:
    (found,) = line_choice.parse(text)
    assert found == line_choice.Choice(text, node, sensor, field)


def test_choices_are_in_their_order_and_spaces_do_not_matter() -> None:
    found = line_choice.parse(" pizero:* ,, pi4:room.humidity,")
    assert [choice.text for choice in found] == ["pizero:*", "pi4:room.humidity"]
    assert line_choice.parse("  ") == []


@pytest.mark.parametrize(
    "text", ["pi4:", "pi4 room", "a:b:c", "room.", ".temperature", "Room", "a;b"]
)
def test_what_is_no_choice_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(line_choice.BadLinesError) as raised:
        line_choice.parse(f"pi4:room, {text}")
    assert str(raised.value) == (
        f"found {text!r}, expected sensors such as pi4:dht22-gpio4.temperature or pizero:*, "
        "with commas between them"
    )


def test_a_choice_fits_names_and_fields() -> None:
    (choice,) = line_choice.parse("p*:bme680-*.iaq*")
    assert choice.fits("pi4", "bme680-0x77")
    assert not choice.fits("revpi", "bme680-0x77")
    assert choice.fields(["temperature", "iaq_score", "iaq_accuracy"]) == [
        "iaq_score",
        "iaq_accuracy",
    ]
    (main,) = line_choice.parse("room")
    assert main.fields(["temperature", "humidity"]) == ["temperature"]
