"""Text of a value by its description."""

from typing import Any

import pytest

from tests.plugins.oled.modules import value_text

Text = value_text.Text
BANDS = [{"to": 50, "word": "good", "tone": "good"}, {"to": None, "word": "bad", "tone": "bad"}]


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ({"decimals": 1, "unit": "hPa"}, 1013.249, Text("1013.2", "hPa")),
        ({"decimals": 0}, 42.4, Text("42")),
        ({}, 21.5, Text("21.5")),
        ({}, 7, Text("7")),
        ({"unit": "IAQ", "decimals": 0, "bands": BANDS}, 50, Text("50", "IAQ", "good")),
        ({"unit": "IAQ", "decimals": 0, "bands": BANDS}, 51, Text("51", "IAQ", "bad")),
        ({"bands": [{"below": 25, "word": "dry"}]}, 24.9, Text("24.9", word="dry")),
        ({"bands": [{"below": 25, "word": "dry"}]}, 25, Text("25")),
        ({"words": ["off", "on"]}, 1, Text("on")),
        ({"words": ["off", "on"]}, True, Text("on")),
        ({"words": ["off", "on"]}, 2, Text("2")),
        ({}, True, Text("yes")),
        ({}, "closed", Text("closed")),
        ({"duration": True, "unit": "s"}, 93_784, Text("1 d 2 h")),
        ({"duration": True}, 61, Text("1 min 1 s")),
        ({}, 1e300, Text("> 1e15")),
        ({"decimals": 1}, None, Text("--")),
    ],
)
def test_a_value_is_written_as_its_description_has_it(
    field: dict[str, Any], value: object, text: tuple[str, ...]
) -> None:
    assert value_text.text_of(field, "x", {"x": value}) == text


def test_a_value_that_is_not_valid_yet_is_the_word_for_that() -> None:
    field = {"pending": "accuracy", "pending_word": "calibrating", "unit": "IAQ"}
    assert value_text.text_of(field, "x", {"x": 25, "accuracy": 0}) == Text("calibrating")
    assert value_text.text_of(field, "x", {"accuracy": False}) == Text("calibrating")
    assert value_text.text_of(field, "x", {"x": 25, "accuracy": 1}) == Text("25", "IAQ")
    assert value_text.text_of({"pending": "accuracy"}, "x", {"accuracy": 0}) == Text("--")
