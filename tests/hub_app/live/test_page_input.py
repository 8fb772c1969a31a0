"""Input of the dashboard plugin."""

import msgspec

from bus.contract.description import FieldDescription
from bus.contract.topics import Topic, TopicKind
from hub_app.live.page_input import page_input
from hub_app.live.state import State
from tests.default_descriptions import AIR, description_of
from tests.default_readings import AIR as AIR_DATA
from tests.hub_app.samples import NOW_MS, reading


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
