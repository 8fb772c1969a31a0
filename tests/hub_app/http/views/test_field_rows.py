"""Rows of a reading, as the hub renders them."""

import re

import pytest

from bus.contract.description import Band, FieldDescription
from bus.contract.messages import Value
from bus.contract.value_text import ABSENT, band_of, duration, write
from hub_app.http.views.field_rows import field_rows
from tests.default_descriptions import AIR, HEALTH
from tests.plugins.dashboard.modules import fields as plugin

NASTY = "<script>alert(1)</script>\"'&"


def labels(html: str) -> list[str]:
    return re.findall(r"<dt>(.*?)</dt>", html)


@pytest.mark.parametrize("described", [AIR, HEALTH], ids=["air", "health"])
@pytest.mark.parametrize("value", [None, 0, 3, -2.345, 51.05, 1e16, True, False, "x", 123456.0])
def test_values_are_written_as_on_the_overview(
    described: dict[str, FieldDescription], value: Value | None
) -> None:
    known = plugin.described(
        {
            name: {"label": field.label, "unit": field.unit}
            | {"decimals": field.decimals, "duration": field.duration, "words": field.words}
            for name, field in described.items()
        }
    )
    for name, field in described.items():
        assert write(value, field) == plugin.write(known[name], value)


def test_rows_are_in_the_described_order_then_by_name() -> None:
    data: dict[str, Value] = {"zeta": 1, "pressure": 1013.25, "temperature": 20.0, "alpha": True}
    found = field_rows(data, AIR)
    assert labels(found)[-2:] == ["alpha", "zeta"]
    order = [AIR[name].label for name in AIR if name in data]
    assert [label for label in labels(found) if label in order] == order


def test_a_total_is_shown_in_the_row_of_its_value() -> None:
    described = {"used": FieldDescription("Memory", "MB", bar="total")}
    found = field_rows({"used": 10, "total": 400}, described)
    assert labels(found) == ["Memory"]
    assert '<span class="total">400</span>' in found
    # Without its value, it has a row of its own.
    assert labels(field_rows({"total": 400}, described)) == ["total"]


def test_a_value_that_is_not_valid_yet_says_so() -> None:
    described = {"iaq": FieldDescription("Air", pending="ready", pending_word="calibrating")}
    found = field_rows({"iaq": 50, "ready": 0}, described)
    assert "calibrating" in found
    assert "data-pending" in found
    assert ">50<" in field_rows({"iaq": 50, "ready": 1}, described)


def test_a_value_has_the_word_and_tone_of_its_band() -> None:
    field = FieldDescription(bands=[Band(50, "low", "good"), Band(None, "high", "bad")])
    assert [band_of(value, field).word for value in (50, 51, None, "x")] == ["low", "high", "", ""]
    below = FieldDescription(bands=[Band(below=50, word="low"), Band(word="high")])
    assert [band_of(value, below).word for value in (49, 50)] == ["low", "high"]
    found = field_rows({"v": 60}, {"v": field})
    assert 'data-tone="bad"' in found
    assert '<span class="band">high</span>' in found


def test_what_comes_from_the_bus_never_becomes_markup() -> None:
    described = {NASTY: FieldDescription(NASTY, NASTY, bands=[Band(None, NASTY, "good")])}
    found = field_rows({NASTY: 1, "text": NASTY}, described)
    assert "<script" not in found
    assert found.count("&lt;script&gt;") >= 4


def test_durations_and_absent_values_have_words() -> None:
    assert [duration(s) for s in (5, 65, 3700, 90_000)] == [
        "5 s",
        "1 min 5 s",
        "1 h 1 min",
        "1 d 1 h",
    ]
    assert write(None, FieldDescription()) == ABSENT
