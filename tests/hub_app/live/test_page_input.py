"""Input of the dashboard plugin."""

import msgspec

from bus.contract.description import About, FieldDescription
from bus.contract.messages import Leds, PluginState
from bus.contract.topics import Topic, TopicKind
from hub_app.live.page_input import MOST_NODES_WITH_PANELS, page_input
from hub_app.live.state import State
from tests.default_descriptions import AIR, description_of
from tests.default_readings import AIR as AIR_DATA
from tests.hub_app.samples import NOW_MS, log, reading


def test_sensors_of_one_plugin_share_their_fields() -> None:
    hub = State()
    for n in range(100):
        described = description_of("bme680", f"Room {n}")
        hub.apply(Topic("pi4", TopicKind.SENSOR, f"air{n}"), described, NOW_MS)
        hub.apply(*reading(sensor=f"air{n}", **AIR_DATA), NOW_MS)
    page = page_input(hub.snapshot(NOW_MS), [])
    assert not page.is_partial
    assert list(page.fields.values()) == [AIR]
    keys = {entry.value.fields for entry in page.entries if entry.kind is TopicKind.SENSOR}
    assert keys == set(page.fields)


def test_more_descriptions_than_fit_make_the_page_partial_and_each_node_has_its_share() -> None:
    hub = State()
    plain = description_of("bme680")
    for node in ("pi4", "pi5"):
        for n in range(100 if node == "pi4" else 1):
            fields = {f"{node}-{n}-{i}": FieldDescription("x" * 80) for i in range(40)}
            described = msgspec.structs.replace(plain, fields=fields)
            hub.apply(Topic(node, TopicKind.SENSOR, f"s{n}"), described, NOW_MS)
    page = page_input(hub.snapshot(NOW_MS), [])
    assert page.is_partial
    assert any("pi5-0-0" in fields for fields in page.fields.values())
    assert len(msgspec.json.encode(page)) < 350_000


def hub_of(nodes: int) -> State:
    hub = State()
    for n in range(nodes):
        hub.apply(*reading(node=f"n{n}"), NOW_MS)
        hub.apply(Topic(f"n{n}", TopicKind.LEDS), Leds(["#000000"]), NOW_MS)
        hub.apply(Topic(f"n{n}", TopicKind.LOG), log("x"), NOW_MS)
        for plugin, state in (("dht22", "running"), ("oled", "failed")):
            message = PluginState(state, "", 0, 0)  # type: ignore[arg-type]
            hub.apply(Topic(f"n{n}", TopicKind.PLUGIN, plugin), message, NOW_MS)
    return hub


def test_a_few_nodes_have_panels_of_outputs_plugins_and_logs() -> None:
    page = page_input(hub_of(MOST_NODES_WITH_PANELS).snapshot(NOW_MS), [])
    assert page.has_panels
    assert len(page.logs) == MOST_NODES_WITH_PANELS
    assert {entry.kind for entry in page.entries} > {TopicKind.LEDS, TopicKind.PLUGIN}


def test_of_many_nodes_there_are_sensors_and_the_plugins_that_failed() -> None:
    page = page_input(hub_of(MOST_NODES_WITH_PANELS + 1).snapshot(NOW_MS), [])
    assert not page.has_panels
    assert page.logs == []
    assert {entry.kind for entry in page.entries} == {
        *(TopicKind.STATUS, TopicKind.READING, TopicKind.PLUGIN),
    }
    plugins = [entry for entry in page.entries if entry.kind is TopicKind.PLUGIN]
    assert {entry.name for entry in plugins} == {"oled"}


def test_two_hundred_nodes_with_six_hundred_sensors_are_a_whole_page() -> None:
    hub = State()
    for n in range(600):
        described = description_of("bme680", f"Air {n}", f"Room {n % 40}")
        hub.apply(Topic(f"node-{n % 200:03}", TopicKind.SENSOR, f"bme680-{n}"), described, NOW_MS)
        hub.apply(*reading(node=f"node-{n % 200:03}", sensor=f"bme680-{n}", **AIR_DATA), NOW_MS)
    assert not page_input(hub.snapshot(NOW_MS), []).is_partial


def test_a_node_says_which_commands_its_plugins_take() -> None:
    hub = State()
    about = About("", "", "", "", "", "", {}, {"plugins": ["set", "plugin", "settings"]})
    hub.apply(Topic("pizero", TopicKind.ABOUT), about, NOW_MS)
    page = page_input(hub.snapshot(NOW_MS), [])
    (shown,) = [entry.value for entry in page.entries if entry.kind is TopicKind.ABOUT]
    assert shown.plugin_actions == ["set"]
