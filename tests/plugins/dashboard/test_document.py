"""Rendering of the page from the hub's state."""

from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bus.config.web_table import Card
from bus.contract.messages import (
    Buzzer,
    Fan,
    Leds,
    Log,
    Message,
    Oled,
    PluginState,
    Reading,
    Result,
    Value,
)
from bus.contract.topics import Topic, TopicKind
from hub_app.hub import PageInput
from hub_app.live.state import State
from hub_app.quota.refusals import Reason, Refusals
from tests.hub_app.samples import NOW_MS, heartbeat, log, reading, status
from tests.plugins.dashboard.modules import fields, markup, render

CARDS = [
    Card(title="Room", sensors=["pi4:dht22-gpio4"]),
    Card(title="Pi 4", node="pi4", sensors=["pi4:pi4-monitor"]),
]
NASTY = "<script>alert(1)</script>\"'&lt;<!--</main>"


class Parsed(HTMLParser):
    """A page as a browser reads it: elements with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def having(self, **wanted: str) -> list[dict[str, str | None]]:
        named = {name.replace("_", "-"): value for name, value in wanted.items()}
        return [a for _, a in self.elements if named.items() <= a.items()]


def page(
    *messages: tuple[Topic, Message], cards: list[Card] | None = None, at_ms: int = 0
) -> Parsed:
    hub = State()
    for topic, message in messages:
        hub.apply(topic, message, NOW_MS)
    hub.sweep(NOW_MS + at_ms)
    snapshot = hub.snapshot(NOW_MS + at_ms)
    given = PageInput(
        snapshot.now_ms, "1.0", CARDS if cards is None else cards, snapshot.entries, snapshot.logs
    )
    return Parsed(render(msgspec.json.encode(given).decode()))


def test_a_reading_stands_in_its_card_with_label_unit_and_decimals() -> None:
    shown = page(reading(temperature=21.449, humidity=43.0))
    assert "Temperature21.4\u00b0C" in shown.text
    assert "Humidity43.0%RH" in shown.text
    assert shown.having(data_topic="harvester/pi4/readings/dht22-gpio4")


def test_an_unknown_field_is_shown_under_its_plain_name() -> None:
    shown = page(reading(lux=1250.5, label="dim", wet=True))
    for text in ("lux1250.5", "labeldim", "wetyes"):
        assert text in shown.text


def test_a_sensor_and_a_node_that_no_card_names_get_cards_by_themselves() -> None:
    shown = page(reading(node="garden", sensor="sht31-0x44", temperature=3.0))
    assert "garden" in shown.text
    assert "garden:sht31-0x44" in shown.text
    assert shown.having(data_presence_of="garden", data_presence="online")


def test_a_card_whose_sensor_is_silent_says_so() -> None:
    assert "no reading of pi4:dht22-gpio4 yet" in page().text


def test_a_page_without_cards_and_nodes_is_a_page() -> None:
    assert "HARVESTER" in page(cards=[]).text


def test_the_air_quality_has_a_word_and_a_tone() -> None:
    shown = page(reading(sensor="bme680-0x77", iaq_score=180, iaq_accuracy=3))
    assert "180IAQpoor" in shown.text
    assert shown.having(data_field="iaq_score", data_tone="warm")


@pytest.mark.parametrize("data", [{"iaq_score": 0, "iaq_accuracy": 0}, {"iaq_accuracy": 0}])
@pytest.mark.parametrize("sensor", ["bme680-0x77", "any-other"])
def test_while_the_sensor_calibrates_there_is_no_score(sensor: str, data: dict[str, int]) -> None:
    shown = page(reading(sensor=sensor, **data))
    assert "Air qualitycalibrating" in shown.text
    assert "Calibrationburning in" in shown.text
    assert "excellent" not in shown.text
    (row,) = shown.having(data_field="iaq_score")
    assert "data-pending" in row
    assert "data-tone" not in row


def test_a_score_without_an_accuracy_is_shown_as_it_is() -> None:
    shown = page(reading(iaq_score=20))
    assert "20IAQexcellent" in shown.text
    assert "data-pending" not in shown.having(data_field="iaq_score")[0]


def test_memory_is_shown_against_its_total_in_one_row() -> None:
    shown = page(reading(sensor="pi4-monitor", memory_used_mb=512, memory_total_mb=3792))
    assert "Memory512/ 3792MB" in shown.text
    assert not shown.having(data_field="memory_total_mb")
    assert shown.having(value="512", max="3792")


def test_a_reading_of_long_ago_is_stale_and_a_fresh_one_is_not() -> None:
    assert "data-stale" not in page(reading(), at_ms=6000).having(data_at=str(NOW_MS))[0]
    assert "data-stale" in page(reading(), at_ms=6001).having(data_at=str(NOW_MS))[0]


@pytest.mark.parametrize(
    ("message", "at_ms", "expected"),
    [(status(), 0, "online"), (status(), 99_000, "lost"), (status("offline"), 0, "offline")],
)
def test_a_node_card_shows_presence(message: Message, at_ms: int, expected: str) -> None:
    shown = page((Topic("pi4", TopicKind.STATUS), message), at_ms=at_ms)
    assert shown.having(data_presence_of="pi4", data_presence=expected)


def test_the_strip_is_a_dot_for_every_led_in_its_colour() -> None:
    shown = page((Topic("pi4", TopicKind.LEDS), Leds(["#ff8800", "#000000"])))
    assert [a["fill"] for tag, a in shown.elements if tag == "circle"] == ["#ff8800", "#000000"]
    assert shown.having(aria_label="1 of 2 LEDs lit")


@pytest.mark.parametrize("on", [True, False])
def test_the_display_is_a_picture_of_the_hub(*, on: bool) -> None:
    shown = page((Topic("pi4", TopicKind.OLED), Oled(128, 64, on=on, frame=bytes(1024))))
    (picture,) = [a for tag, a in shown.elements if tag == "img"]
    assert str(picture["src"]).startswith("/api/nodes/pi4/oled.png?v=")
    assert picture["alt"] == "what the display of pi4 shows"
    assert (picture["width"], picture["height"]) == ("256", "128")
    assert f"display {'on' if on else 'off'}" in shown.text


def test_another_picture_has_another_address() -> None:
    frames = (bytes(1024), bytes(1023) + b"\x01")
    pages = [page((Topic("pi4", TopicKind.OLED), Oled(128, 64, on=True, frame=f))) for f in frames]
    assert len({str(a["src"]) for p in pages for tag, a in p.elements if tag == "img"}) == 2


def test_a_buzzer_brings_its_buttons_and_the_newest_answer() -> None:
    shown = page(
        (Topic("pi4", TopicKind.BUZZER), Buzzer(sounding=True, pattern="beep3")),
        (Topic("pi4", TopicKind.FAN), Fan(on=True, mode="auto")),
        (Topic("pi4", TopicKind.RESULT, "buzzer"), Result("x", ok=True, error="", finished_ms=1)),
        (
            Topic("pi4", TopicKind.RESULT, "fan"),
            Result(None, ok=False, error="no fan", finished_ms=2),
        ),
    )
    assert "sounding beep3" in shown.text
    assert "on (auto)" in shown.text
    assert "fan: no fan" in shown.text
    assert [a["data-pattern"] for a in shown.having(data_node="pi4")] == ["beep", "beep3", "long"]


def test_without_a_buzzer_there_are_no_buttons() -> None:
    shown = page((Topic("pi4", TopicKind.LEDS), Leds(["#000000"])))
    assert not [a for tag, a in shown.elements if "data-pattern" in a]


def test_a_failed_plugin_names_its_fault() -> None:
    plugin = PluginState("failed", "", NOW_MS, 3, "i2c-1 0x3c: no answer")
    shown = page((Topic("pi4", TopicKind.PLUGIN, "oled"), plugin))
    assert "i2c-1 0x3c: no answer" in shown.text
    assert shown.having(data_plugin="failed")


def test_a_disabled_plugin_is_disabled_by_command() -> None:
    plugin = PluginState("disabled", "", 0, 0)
    shown = page((Topic("pi4", TopicKind.PLUGIN, "oled"), plugin))
    assert "disabled by command" in shown.text
    # The script says the same.
    assert shown.having(data_texts='{"disabled": "disabled by command"}')


def test_every_node_and_sensor_has_a_button_that_removes_it() -> None:
    reading = Reading("pi4", "air", NOW_MS, "s", 1, {"temperature": 20.0})
    shown = page((Topic("pi4", TopicKind.READING, "air"), reading))
    assert shown.having(data_remove="pi4")
    assert shown.having(data_remove="pi4:air")
    assert shown.having(id="remove-dialog")


def test_every_node_has_a_tab_that_controls_its_log() -> None:
    shown = page((Topic("revpi", TopicKind.LOG), log("hello", level="warning")))
    tabs = shown.having(role="tab")
    assert [tab["data-tab"] for tab in tabs] == ["pi4", "revpi"]
    assert all(shown.having(id=str(tab["aria-controls"])) for tab in tabs)
    assert shown.having(data_level="warning")


def test_nothing_is_inline_and_nothing_is_foreign() -> None:
    shown = page(reading(), (Topic("pi4", TopicKind.HEARTBEAT), heartbeat()))
    for tag, attributes in shown.elements:
        assert tag != "style"
        assert not any(name == "style" or name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "/").startswith("/")


def elements_and_text(text: str) -> tuple[list[str], str]:
    """Return what a page is made of where `text` stands in every place that the bus can fill."""
    data: dict[str, Value] = {text: text, "temperature": text}
    topic, plain = reading()
    shown = page(
        (topic, msgspec.structs.replace(plain, data=data)),
        (Topic("pi4", TopicKind.LOG), Log(NOW_MS, "info", text, text)),
        (Topic("pi4", TopicKind.BUZZER), Buzzer(sounding=True, pattern=text)),
        (Topic("pi4", TopicKind.PLUGIN, "x"), PluginState("failed", "", NOW_MS, 1, text)),
        (Topic("pi4", TopicKind.RESULT, "fan"), Result(None, ok=False, error=text, finished_ms=1)),
        cards=[Card(title=text, sensors=["pi4:dht22-gpio4", text])],
    )
    return [tag for tag, _ in shown.elements], shown.text


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_text_from_the_bus_never_becomes_markup(text: str) -> None:
    # A known field's name or a known sensor's id has a look of its own.
    assume(text not in fields.FIELDS and text != "pi4:dht22-gpio4")
    expected, _ = elements_and_text("plain")
    tags, shown = elements_and_text(text)
    assert tags == expected
    assert shown.count(text) >= 8


def test_a_script_from_the_bus_is_text() -> None:
    tags, shown = elements_and_text(NASTY)
    assert tags.count("script") == 1
    assert NASTY in shown


@settings(deadline=None)
@given(st.text())
def test_escaped_text_reads_back_as_it_was(text: str) -> None:
    parsed = Parsed(markup.element("p", text, title=text))
    assert parsed.text == text.replace("\0", "\ufffd")
    assert parsed.elements == [("p", {"title": text.replace("\0", "\ufffd")})]


ANY_VALUE = st.one_of(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text()
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*fields.FIELDS, "other"]), ANY_VALUE, min_size=1))
def test_no_value_keeps_the_page_from_being_drawn(data: dict[str, Any]) -> None:
    topic, plain = reading()
    assert page((topic, msgspec.structs.replace(plain, data=data))).text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (273_600, "3 d 4 h")],
)
def test_a_duration_is_written_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert fields.duration(seconds) == text


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("temperature", None, fields.ABSENT),
        ("temperature", 10**400, "> 1e15"),
        ("temperature", "n/a", "n/a"),
        ("other", 0.1 + 0.2, "0.3"),
        ("other", 12, "12"),
        ("up", False, "no"),
        ("iaq_accuracy", 3, "high"),
        ("iaq_accuracy", 9, "9"),
    ],
)
def test_a_value_is_written_as_its_field_says(field: str, value: Any, text: str) -> None:
    assert fields.write(fields.of(field), value) == text


def test_refused_messages_are_counted_at_their_node() -> None:
    refusals = Refusals()
    hub = State(refusals=refusals)
    hub.apply(Topic("pi4", TopicKind.STATUS), status(), NOW_MS)
    refusals.count("pi4", Reason.MALFORMED, "", 12)
    refusals.count("pi4", Reason.SENSORS, "")
    hub.sweep(NOW_MS)
    snapshot = hub.snapshot(NOW_MS)
    given = PageInput(snapshot.now_ms, "1.0", CARDS, snapshot.entries, [], is_partial=True)
    shown = Parsed(render(msgspec.json.encode(given).decode()))
    (line,) = shown.having(data_refused_of="pi4")
    assert "hidden" not in line
    assert "refused: 12 malformed, 1 sensors" in shown.text
    assert any("data-partial" in attributes for _, attributes in shown.elements)


def test_without_refusals_the_line_is_hidden() -> None:
    (line,) = page((Topic("pi4", TopicKind.STATUS), status())).having(data_refused_of="pi4")
    assert "hidden" in line
