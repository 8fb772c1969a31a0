"""Costs, records and shadow runs on the view of a node."""

import os
import re

import pytest

from bus.contract.bounds import MAX_RECORD_BYTES
from bus.contract.description import About
from bus.contract.messages import Costs, PluginCost, PluginRecord, ShadowReport
from bus.contract.topics import Topic, TopicKind
from hub_app.http.views.node import shadows
from hub_app.live.state import State
from tests.hub_app.conftest import HubProcess
from tests.hub_app.connected_node import until
from tests.hub_app.samples import NOW_MS, status

LARGEST = os.urandom(MAX_RECORD_BYTES)
REPORT = ShadowReport(
    sha256="ab" * 32,
    version="1.3.0",
    since_ms=NOW_MS,
    polls=120,
    failures=1,
    differing=3,
    error="ValueError: <b>",
    values={"room temperature": (21.5, 21.25), "room words": ("a", None)},
    p50_ms=0.9,
    effects=120,
    newest_effects=["led_controller.set_led(1, 0, 255, 0)"],
)


def test_a_shadow_is_shown_beside_the_running_version() -> None:
    state = State()
    state.apply(Topic("pi4", TopicKind.COSTS), Costs({"room": PluginCost(9, 0, 0, 1.2, 2)}), NOW_MS)
    state.apply(Topic("pi4", TopicKind.SHADOW, "room"), REPORT, NOW_MS)
    shown = str(shadows.shadows(state, "pi4", operates=True))
    text = " ".join(re.sub(r"<[^>]+>", " ", shown).split())
    assert "120 polls, of which 3 differed and 1 failed" in text
    assert "Median 0.9 ms, of the running version 1.2 ms" in text
    assert "room temperature 21.5 21.25 -0.25" in text
    assert "ValueError: &lt;b&gt;" in shown
    assert 'id="promote-room"' in shown
    assert 'id="drop-room"' in shown
    assert "<button" not in str(shadows.shadows(state, "pi4", operates=False))
    assert "120 effects not carried out led_controller.set_led(1, 0, 255, 0)" in text


def test_a_node_without_a_shadow_shows_none() -> None:
    assert str(shadows.shadows(State(), "pi4", operates=True)) == ""


@pytest.fixture
def node(hub: HubProcess) -> str:
    name = "cost1"
    about = About("", "", "", "", "", "", {}, {"plugins": ["record", "reload"]})
    hub.publish(Topic(name, TopicKind.STATUS), status())
    hub.publish(Topic(name, TopicKind.ABOUT), about)
    cost = PluginCost(20, 1, 240, 1.5, 4.0, 15.5)
    hub.publish(Topic(name, TopicKind.COSTS), Costs({"dht22": cost}))
    record = PluginRecord("fault", "ab", NOW_MS, 3, 0, LARGEST, "no answer")
    hub.publish(Topic(name, TopicKind.RECORD, "dht22"), record)
    until(hub, f"/node/{name}", "/record")
    return name


def test_the_view_of_a_node_has_costs_and_offers_records(hub: HubProcess, node: str) -> None:
    page = hub.http.get(f"/node/{node}").text
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "dht22 20 1 1.5 ms 4 ms 15.5 MB 12.0" in text
    assert 'data-action="record"' in page
    path = f"/api/nodes/{node}/plugins/dht22/record"
    assert f'href="{path}"' in page
    answer = hub.http.get(path)
    assert answer.content == LARGEST
    assert answer.headers["content-disposition"] == f'attachment; filename="{node}-dht22.record"'


def test_a_record_that_nobody_sent_is_not_there(hub: HubProcess, node: str) -> None:
    assert hub.http.get(f"/api/nodes/{node}/plugins/none/record").status_code == 404


def test_what_is_not_in_the_shadow_is_not_promoted(hub: HubProcess, node: str) -> None:
    wish = {"plugin": "dht22", "nodes": [node]}
    answer = hub.http.post("/api/deliveries/promote", json=wish)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"found no version of dht22 in the shadow at {node}")
