"""Rendering of the page from the hub's state."""

from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bus.config.web_table import Card
from bus.contract.description import About, Band, FieldDescription, SensorDescription
from bus.contract.messages import (
    Buzzer,
    Fan,
    Leds,
    Log,
    Message,
    Oled,
    PluginPhase,
    PluginState,
    Reading,
    Result,
    Value,
)
from bus.contract.topics import Topic, TopicKind
from hub_app.live.page_input import page_input
from hub_app.live.state import State
from hub_app.quota.refusals import Reason, Refusals
from tests.allowed_messages import messages
from tests.default_descriptions import AIR, HEALTH, PING, ROOM, description_of
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
        named = {name.rstrip("_").replace("_", "-"): value for name, value in wanted.items()}
        return [a for _, a in self.elements if named.items() <= a.items()]


def page(*bus: tuple[Topic, Message], cards: list[Card] | None = None, at_ms: int = 0) -> Parsed:
    hub = State()
    for topic, message in bus:
        hub.apply(topic, message, NOW_MS)
    hub.sweep(NOW_MS + at_ms)
    snapshot = hub.snapshot(NOW_MS + at_ms)
    given = page_input(snapshot, CARDS if cards is None else cards)
    return Parsed(render(msgspec.json.encode(given).decode()))


def sensor(name: str, title: str = "", area: str = "") -> tuple[Topic, SensorDescription]:
    return Topic("pi4", TopicKind.SENSOR, name), description_of(name, title, area)


def about(title: str = "", area: str = "") -> tuple[Topic, About]:
    return Topic("pi4", TopicKind.ABOUT), About(title, area, "", "", "", "", {}, {})


DHT22 = sensor("dht22-gpio4")


def test_a_reading_stands_in_its_card_with_label_unit_and_decimals() -> None:
    shown = page(DHT22, reading(temperature=21.449, humidity=43.0))
    assert "Temperature21.4\u00b0C" in shown.text
    assert "Humidity43.0%RH" in shown.text
    assert shown.having(data_topic="harvester/pi4/readings/dht22-gpio4")


def test_a_field_that_is_not_described_is_shown_under_its_plain_name_behind_the_others() -> None:
    shown = page(DHT22, reading(lux=1250.5, label="dim", wet=True, temperature=21.0))
    assert [a["data-field"] for _, a in shown.elements if "data-field" in a] == [
        *("temperature", "label", "lux", "wet"),
    ]
    for text in ("lux1250.5", "labeldim", "wetyes"):
        assert text in shown.text


def test_a_sensor_without_a_description_has_field_names_and_no_units() -> None:
    shown = page(reading(temperature=21.44, humidity=43.0))
    assert "humidity43temperature21.44" in shown.text
    # The one unit is of the counters of the broker.
    assert len(shown.having(class_="unit")) == 1


def test_fields_are_in_the_order_of_the_description() -> None:
    shown = page(sensor("bme680-0x77"), reading(sensor="bme680-0x77", **dict.fromkeys(AIR, 1)))
    assert [a["data-field"] for _, a in shown.elements if "data-field" in a] == list(AIR)


def test_a_sensor_has_its_title_and_area_and_keeps_its_id_in_a_tooltip() -> None:
    shown = page(sensor("dht22-gpio4", "Desk", "Office"), reading(), cards=[])
    assert "Desk" in shown.text
    assert "Office" in shown.text
    (link,) = shown.having(title="pi4:dht22-gpio4")
    assert link["href"] == "/sensor/pi4/dht22-gpio4"


def test_a_node_that_no_card_names_has_its_title_and_area() -> None:
    shown = page(about("Kitchen board", "Kitchen"), reading(), cards=[])
    assert "Kitchen boardKitchen" in shown.text
    assert "Kitchen board" not in page(about("Kitchen board"), reading()).text


def test_elements_have_the_digest_of_the_description_that_they_are_made_from() -> None:
    plain = page(reading()).having(data_digest_of="sensor pi4 dht22-gpio4")
    described = page(DHT22, reading()).having(data_digest_of="sensor pi4 dht22-gpio4")
    assert [a["data-digest"] for a in plain] == [""]
    assert len(str(described[0]["data-digest"])) == 16
    assert page(about(), reading()).having(data_digest_of="about pi4 ")


def test_an_area_stands_once_in_the_card_of_a_node() -> None:
    cards = [Card(title="Pi 4", node="pi4", sensors=["pi4:dht22-gpio4"])]
    shown = page(about(area="Cellar"), sensor("dht22-gpio4", area="Cellar"), reading(), cards=cards)
    assert shown.text.count("Cellar") == 1


def test_only_a_node_that_takes_names_has_buttons_for_them() -> None:
    topic, plain = about()
    taking = msgspec.structs.replace(plain, actuators={"names": ["title"]})
    assert not page((topic, plain), reading()).having(class_="name")
    buttons = page((topic, taking), (Topic("pi4", TopicKind.HEARTBEAT), heartbeat()), reading())
    assert [a.get("data-sensor") for a in buttons.having(data_name_of="pi4")] == [
        *("dht22-gpio4", None),
    ]


def test_two_fields_that_are_each_others_total_are_not_both_hidden() -> None:
    fields = {"a": FieldDescription(bar="b"), "b": FieldDescription(bar="a")}
    topic, plain = DHT22
    described = msgspec.structs.replace(plain, fields=fields)
    assert page((topic, described), reading(a=1, b=2)).having(data_field="a")


def test_a_band_may_lack_word_and_tone() -> None:
    topic, plain = DHT22
    fields = {"x": FieldDescription(bands=[Band(50), Band(word="much", tone="muted")])}
    described = msgspec.structs.replace(plain, fields=fields)
    assert page((topic, described), reading(x=51)).having(data_field="x", data_tone="muted")


@pytest.mark.parametrize(("value", "word"), [(29.9, "warm"), (30, "hot"), (31, "hot")])
def test_a_band_below_a_limit_ends_before_it(value: float, word: str) -> None:
    topic, plain = DHT22
    fields = {"x": FieldDescription(bands=[Band(below=30, word="warm"), Band(word="hot")])}
    described = msgspec.structs.replace(plain, fields=fields)
    assert f"{value:g}{word}" in page((topic, described), reading(x=value)).text


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
    shown = page(
        sensor("bme680-0x77"), reading(sensor="bme680-0x77", iaq_score=180, iaq_accuracy=3)
    )
    assert "180IAQpoor" in shown.text
    assert shown.having(data_field="iaq_score", data_tone="warm")


@pytest.mark.parametrize("data", [{"iaq_score": 0, "iaq_accuracy": 0}, {"iaq_accuracy": 0}])
@pytest.mark.parametrize("name", ["bme680-0x77", "bme680-upstairs"])
def test_while_the_sensor_calibrates_there_is_no_score(name: str, data: dict[str, int]) -> None:
    shown = page(sensor(name), reading(sensor=name, **data))
    assert "Air qualitycalibrating" in shown.text
    assert "Calibrationburning in" in shown.text
    assert "excellent" not in shown.text
    (row,) = shown.having(data_field="iaq_score")
    assert "data-pending" in row
    assert "data-tone" not in row


def test_a_score_without_an_accuracy_is_shown_as_it_is() -> None:
    shown = page(sensor("bme680-0x77"), reading(sensor="bme680-0x77", iaq_score=20))
    assert "20IAQexcellent" in shown.text
    assert "data-pending" not in shown.having(data_field="iaq_score")[0]


def test_memory_is_shown_against_its_total_in_one_row() -> None:
    shown = page(
        sensor("pi4-monitor"),
        reading(sensor="pi4-monitor", memory_used_mb=512, memory_total_mb=3792),
    )
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


def test_a_plugin_has_buttons_for_the_commands_that_its_node_takes() -> None:
    topic, plain = about()
    plugin = Topic("pi4", TopicKind.PLUGIN, "ping"), PluginState("running", "", 0, 0)
    taking = msgspec.structs.replace(plain, actuators={"plugins": ["set", "reload"]})
    buttons = page((topic, taking), plugin).having(data_commands="ping")
    assert [button["data-action"] for button in buttons] == ["reload"]
    assert page((topic, taking), plugin).having(id="settings-pi4-ping")
    assert not page((topic, plain), plugin).having(id="settings-pi4-ping")
    # A node that says nothing takes all of them.
    buttons = page(plugin).having(data_commands="ping")
    assert [button["data-action"] for button in buttons] == ["reload", "enable", "disable"]


@pytest.mark.parametrize(
    ("state", "hidden"), [("running", "enable"), ("failed", "enable"), ("disabled", "disable")]
)
def test_a_plugin_has_no_button_for_what_has_no_effect(state: PluginPhase, hidden: str) -> None:
    buttons = page((Topic("pi4", TopicKind.PLUGIN, "ping"), PluginState(state, "", 0, 0))).having(
        data_commands="ping"
    )
    assert [button["data-action"] for button in buttons if "hidden" in button] == [hidden]


@pytest.mark.parametrize("version", ["1.2.0", ""])
def test_a_plugin_has_its_authors_version_and_the_start_of_its_digest(version: str) -> None:
    plugin = PluginState("running", "0123456789ab" + "0" * 52, NOW_MS, 0, version=version)
    shown = page((Topic("pi4", TopicKind.PLUGIN, "oled"), plugin))
    assert f"{version} 01234567" in shown.text
    assert "0123456789ab" not in shown.text
    assert shown.having(data_field="version")
    (build,) = shown.having(data_field="sha256")
    assert build["title"] == plugin.sha256


def test_a_plugin_of_a_native_service_has_its_version_alone() -> None:
    plugin = PluginState("running", "", NOW_MS, 0, version="1.1.0")
    shown = page((Topic("pizero", TopicKind.PLUGIN, "bme680"), plugin))
    assert "1.1.0" in shown.text
    assert f"1.1.0 {fields.ABSENT}" not in shown.text


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
    words = FieldDescription(text, text, text, words=[text], pending="x", pending_word=text)
    shown = page(
        (DHT22[0], SensorDescription(text, text, text, 2.0, {"temperature": words})),
        about(text, text),
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
    # A described field's name or a known sensor's id has a look of its own.
    assume(text not in {"temperature", "pi4:dht22-gpio4"})
    expected, _ = elements_and_text("plain")
    tags, shown = elements_and_text(text)
    assert tags == expected
    assert shown.count(text) >= 12


def test_a_script_from_the_bus_is_text() -> None:
    tags, shown = elements_and_text(NASTY)
    assert tags.count("script") == 2
    assert NASTY in shown


@settings(deadline=None)
@given(st.text())
def test_escaped_text_reads_back_as_it_was(text: str) -> None:
    parsed = Parsed(markup.element("p", text, title=text))
    assert parsed.text == text.replace("\0", "\ufffd")
    assert parsed.elements == [("p", {"title": text.replace("\0", "\ufffd")})]


KNOWN = {**AIR, **HEALTH, **PING, **ROOM}
ANY_VALUE = st.one_of(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text()
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*KNOWN, "other"]), ANY_VALUE, min_size=1))
def test_no_value_keeps_the_page_from_being_drawn(data: dict[str, Any]) -> None:
    topic, plain = reading()
    described = msgspec.structs.replace(DHT22[1], fields=KNOWN)
    assert page((DHT22[0], described), (topic, msgspec.structs.replace(plain, data=data))).text


@settings(deadline=None)
@given(messages(SensorDescription), messages(About))
def test_no_description_keeps_the_page_from_being_drawn(described: Any, said: Any) -> None:
    data = dict.fromkeys([*described.fields, "other"], 1)
    topic, plain = reading()
    shown = page(
        (DHT22[0], described),
        (Topic("pi4", TopicKind.ABOUT), said),
        (topic, msgspec.structs.replace(plain, data=data)),
    )
    assert shown.having(data_topic=str(topic))


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
    described = fields.described(msgspec.to_builtins(KNOWN))
    assert fields.write(described.get(field, fields.Field(field)), value) == text


def test_refused_messages_are_counted_at_their_node() -> None:
    refusals = Refusals()
    hub = State(refusals=refusals)
    hub.apply(Topic("pi4", TopicKind.STATUS), status(), NOW_MS)
    refusals.count("pi4", Reason.MALFORMED, "", 12)
    refusals.count("pi4", Reason.SENSORS, "")
    hub.sweep(NOW_MS)
    snapshot = hub.snapshot(NOW_MS)
    given = msgspec.structs.replace(page_input(snapshot, CARDS), is_partial=True)
    shown = Parsed(render(msgspec.json.encode(given).decode()))
    (line,) = shown.having(data_refused_of="pi4")
    assert "hidden" not in line
    assert "refused: 12 malformed, 1 sensors" in shown.text
    assert any("data-partial" in attributes for _, attributes in shown.elements)


def test_without_refusals_the_line_is_hidden() -> None:
    (line,) = page((Topic("pi4", TopicKind.STATUS), status())).having(data_refused_of="pi4")
    assert "hidden" in line


def test_a_page_to_look_at_has_its_own_links_and_no_dialogs() -> None:
    given = page_input(State().snapshot(NOW_MS), CARDS)
    links = (("/", "Overview"), ("/fleet", "All sites"))
    for is_read_only in (False, True):
        shown = msgspec.structs.replace(given, is_read_only=is_read_only, links=links)
        text = render(msgspec.json.encode(shown).decode())
        assert '<a href="/fleet">All sites</a>' in text
        assert "System" not in text
        assert ("<dialog" in text) is not is_read_only
