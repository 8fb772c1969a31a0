"""`/api/alarms` of a running hub whose broker is another program."""

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from bus.contract.messages import Alarm, Reading
from bus.contract.topics import Topic, TopicKind
from hub_app.alarms import rules_file
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.samples import status
from tests.support import wait_until

pytestmark = pytest.mark.timeout(120)

FIXED = '{name="fixed", field="humidity", above=90}'
SEQS = itertools.count()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("hub")
    with running_hub(directory, alarms=f"[{FIXED}]", history__commit_s=0.1) as running:
        yield running


def measure(hub: HubProcess, node: str, **data: float) -> None:
    online = msgspec.structs.replace(status(), interval_s=600.0)
    hub.publish(Topic(node, TopicKind.STATUS), online)
    now_ms = time.time_ns() // 1_000_000
    topic = Topic(node, TopicKind.READING, "air")
    hub.publish(topic, Reading(node, "air", now_ms, "s", next(SEQS), {**data}))


def post(hub: HubProcess, path: str, body: object) -> httpx.Response:
    return hub.http.post(f"/api/alarms/{path}", json=body)


def names(hub: HubProcess, node: str) -> list[str]:
    found = hub.http.get("/api/alarms", params={"node": node}).json()["active"]
    return [alarm["name"] for alarm in found]


def past(hub: HubProcess, node: str, **params: int) -> dict[str, Any]:
    found: dict[str, Any] = hub.http.get("/api/alarms", params={"node": node, **params}).json()
    return found


def streamed(hub: HubProcess, node: str) -> list[str]:
    """Return the alarms of a node in the snapshot of the event stream."""
    with hub.http.stream("GET", "/events") as stream:
        data = next(line for line in stream.iter_lines() if line.startswith("data: "))
    entries = json.loads(data.removeprefix("data: "))["entries"]
    return [it["name"] for it in entries if it["kind"] == "alarm" and it["node"] == node]


def rules(hub: HubProcess) -> dict[str, Any]:
    return {rule["name"]: rule for rule in hub.http.get("/api/alarms/rules").json()["rules"]}


def test_rules_are_made_replaced_and_deleted_on_the_page(hub: HubProcess) -> None:
    rule = {"name": "made", "field": "temperature", "above": 30, "node": "made"}
    answer = post(hub, "rules", rule)
    assert answer.status_code == 200
    assert (answer.json()["rule"]["source"], answer.json()["rule"]["above"]) == ("page", 30)
    post(hub, "rules", {**rule, "above": 20, "severity": "critical"})
    assert (rules(hub)["made"]["above"], rules(hub)["made"]["severity"]) == (20, "critical")
    kept = rules_file.load(hub.directory / "state" / rules_file.FILE_NAME)
    assert [one.name for one in kept] == ["made"]
    assert hub.http.delete("/api/alarms/rules/made").json() == {"ok": True, "name": "made"}
    assert "made" not in rules(hub)
    assert hub.http.delete("/api/alarms/rules/made").status_code == 404


def test_a_rule_of_hub_toml_cannot_be_changed_on_the_page(hub: HubProcess) -> None:
    assert rules(hub)["fixed"]["source"] == "hub.toml"
    answer = post(hub, "rules", {"name": "fixed", "field": "humidity", "above": 1})
    assert answer.status_code == 409
    assert "a rule of hub.toml" in answer.json()["error"]
    assert hub.http.delete("/api/alarms/rules/fixed").status_code == 409


def test_a_built_in_rule_is_switched_off_on_the_page_and_comes_back(hub: HubProcess) -> None:
    post(hub, "rules", {"name": "clock-wrong", "enabled": False})
    assert (rules(hub)["clock-wrong"]["source"], rules(hub)["clock-wrong"]["enabled"]) == (
        *("page", False),
    )
    hub.http.delete("/api/alarms/rules/clock-wrong")
    assert rules(hub)["clock-wrong"]["source"] == "built-in"


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        (b"{", "found no rule"),
        (b'{"name": "a", "field": "t", "above": 1e400}', "found no rule: Number out of range"),
        (b'{"name": "a"}', "field: found nothing, expected the name of a value"),
        (b'{"name": "a", "field": "t", "above": 1, "x": 1}', "x: found an unknown key"),
        (b'{"name": "a--b", "field": "t", "above": 1}', "name: found 'a--b'"),
        (b'{"name": "a", "field": "t", "above": 1, "clear": 2}', "clear: found 2, expected at"),
        (b"[]", "found []"),
    ],
)
def test_a_mistake_in_a_rule_is_named(hub: HubProcess, body: bytes, mistake: str) -> None:
    answer = hub.http.post("/api/alarms/rules", content=body)
    assert answer.status_code == 400
    assert mistake in answer.json()["error"]


def test_an_alarm_ends_with_its_rule(hub: HubProcess) -> None:
    post(hub, "rules", {"name": "short", "field": "temperature", "above": 30, "node": "n1"})
    measure(hub, "n1", temperature=31.0)
    wait_until(lambda: names(hub, "n1") == ["short--air"])
    said = hub.bus.wait_topic("harvester/n1/alarms/short--air")
    assert isinstance(said.message, Alarm)
    heard = len(hub.bus.said)
    hub.http.delete("/api/alarms/rules/short")
    wait_until(lambda: names(hub, "n1") == [])
    assert not hub.bus.wait_topic("harvester/n1/alarms/short--air", after=heard).payload
    wait_until(lambda: past(hub, "n1")["past"])
    (over,) = past(hub, "n1")["past"]
    assert (over["name"], over["rule"], over["value"]) == ("short--air", "short", 31.0)


def test_an_alarm_is_muted_for_a_time_and_acknowledged(hub: HubProcess) -> None:
    measure(hub, "n2", humidity=95.0)
    wait_until(lambda: names(hub, "n2") == ["fixed--air"])
    answer = post(hub, "n2/fixed--air/mute", {"minutes": 30})
    until_ms = answer.json()["muted_until_ms"]
    (found,) = hub.http.get("/api/alarms?node=n2").json()["active"]
    assert found["muted_until_ms"] == until_ms > time.time() * 1000 + 20 * 60_000
    assert post(hub, "n2/fixed--air/mute", {"minutes": 0}).json()["muted_until_ms"] == 0
    assert post(hub, "n2/fixed--air/mute", {"minutes": -1}).status_code == 400
    assert streamed(hub, "n2") == ["fixed--air"]
    acknowledged = hub.http.post("/api/alarms/n2/fixed--air/ack").json()
    assert acknowledged["ok"]
    assert acknowledged["acknowledged_ms"] > 0
    hub.bus.wait_for(lambda said: isinstance(said.message, Alarm) and said.message.acknowledged)


def test_an_unknown_alarm_is_named_with_those_that_there_are(hub: HubProcess) -> None:
    for path in ("n9/none/ack", "n9/none/mute"):
        answer = post(hub, path, {"minutes": 1})
        assert answer.status_code == 404
        assert "found 'n9/none', expected one of" in answer.json()["error"]


def test_past_alarms_come_in_pages(hub: HubProcess) -> None:
    for _ in range(3):
        measure(hub, "n3", humidity=95.0)
        wait_until(lambda: names(hub, "n3"))
        measure(hub, "n3", humidity=50.0)
        wait_until(lambda: not names(hub, "n3"))
    wait_until(lambda: len(past(hub, "n3")["past"]) == 3)
    first = past(hub, "n3", limit=2)
    assert (len(first["past"]), first["has_more"]) == (2, True)
    rest = past(hub, "n3", limit=2, before=first["past"][-1]["begin_ms"])
    assert (len(rest["past"]), rest["has_more"]) == (1, False)
    assert hub.http.get("/api/alarms?limit=0").status_code == 400


def test_an_alarm_of_a_stranger_on_the_bus_is_removed(hub: HubProcess) -> None:
    """A broker without our access rules lets anybody publish one."""
    topic = Topic("n4", TopicKind.ALARM, "forged")
    hub.publish(topic, Alarm("critical", "the house is on fire", 1))
    hub.bus.wait_for(lambda said: said.topic == topic and not said.payload)
    assert names(hub, "n4") == []


def test_the_alarms_of_a_removed_sensor_and_node_end(hub: HubProcess) -> None:
    measure(hub, "n5", humidity=95.0)
    wait_until(lambda: names(hub, "n5"))
    assert hub.http.post("/api/sensors/n5:air/remove", json={}).status_code == 200
    wait_until(lambda: not names(hub, "n5"))
    measure(hub, "n6", humidity=95.0)
    wait_until(lambda: names(hub, "n6"))
    assert hub.http.post("/api/nodes/n6/remove", json={}).status_code == 200
    wait_until(lambda: not names(hub, "n6"))
    topic = Topic("n6", TopicKind.ALARM, "fixed--air")
    hub.bus.wait_for(lambda said: said.topic == topic and not said.payload)
