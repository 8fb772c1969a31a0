"""Commands over HTTP: the buzzer, plugins and names."""

from pathlib import Path

import pytest

from bus.contract.messages import Buzzer
from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import buzzer_node, named_node, plugin_node, setting_node, until
from tests.hub_app.hub_process import RESULT_TIMEOUT
from tests.hub_app.samples import NOW_MS, heartbeat


def test_a_button_sounds_the_buzzer_and_hears_the_answer(hub: HubProcess) -> None:
    with buzzer_node(hub, "b1"):
        answer = hub.http.post("/api/buzzer", json={"node": "b1", "pattern": "beep3"})
    assert (answer.status_code, answer.json()["ok"]) == (200, True)
    assert answer.json()["node"] == "b1"


def test_the_default_is_the_first_node_with_a_buzzer(hub: HubProcess) -> None:
    with buzzer_node(hub, "b1"):
        assert hub.http.post("/api/buzzer?action=long").json()["pattern"] == "long"
    with buzzer_node(hub, "b1"):
        assert hub.http.post("/api/buzzer/test").json()["pattern"] == "beep"


def test_a_node_that_refuses_is_quoted(hub: HubProcess) -> None:
    with buzzer_node(hub, "b2", error="the relay is stuck"):
        answer = hub.http.post("/api/buzzer", json={"node": "b2", "pattern": "beep"})
    assert (answer.status_code, answer.json()["error"]) == (502, "the relay is stuck")


def test_a_node_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RESULT_TIMEOUT, "2")
    with running_hub(tmp_path) as hub:
        hub.publish(Topic("mute", TopicKind.BUZZER), Buzzer(sounding=False, pattern=""))
        until(hub, "/api/nodes", '"mute"')
        answer = hub.http.post("/api/buzzer", json={"node": "mute", "pattern": "beep"})
    assert answer.status_code == 504
    assert answer.json()["error"] == "mute did not answer within 2 s"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"pattern": "siren"}', 400),
        (b"not json", 400),
        (b"\xff", 400),
        (b'{"pattern": "beep", "volume": 11}', 400),
        (b'{"pattern": "beep", "node": "nobody"}', 404),
        (b" " * 5000, 413),
    ],
)
def test_a_bad_command_is_refused(hub: HubProcess, body: bytes, code: int) -> None:
    answer = hub.http.post("/api/buzzer", content=body)
    assert (answer.status_code, answer.json()["ok"]) == (code, False)


def test_a_plugin_is_commanded_and_the_nodes_answer_returned(hub: HubProcess) -> None:
    wanted = {"node": "p1", "plugin": "dht22", "action": "reload"}
    with plugin_node(hub, Topic("p1", TopicKind.PLUGIN, "dht22")) as commands:
        answer = hub.http.post("/api/plugins", json=wanted)
    assert (answer.status_code, answer.json()) == (
        200,
        {"ok": True, **wanted, "finished_ms": NOW_MS},
    )
    assert commands == [("dht22", "reload")]
    with plugin_node(hub, Topic("p1", TopicKind.PLUGIN, "dht22"), error="no plugin none here"):
        answer = hub.http.post("/api/plugins", json={**wanted, "plugin": "none"})
    assert (answer.status_code, answer.json()["error"]) == (502, "no plugin none here")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b'{"node": "p1", "plugin": "dht22"}', 400),
        (b'{"node": "p1", "plugin": "dht22", "action": "remove"}', 400),
        (b'{"node": "p1", "plugin": "dht22", "action": "reload", "now": 1}', 400),
        (b'{"node": "nobody", "plugin": "dht22", "action": "reload"}', 404),
        (b"[" * 4000, 400),
        (b" " * 5000, 413),
    ],
)
def test_a_bad_plugin_command_is_refused(hub: HubProcess, body: bytes, code: int) -> None:
    answer = hub.http.post("/api/plugins", content=body)
    assert (answer.status_code, answer.json()["ok"]) == (code, False)
    assert hub.http.get("/api/plugins").status_code == 405


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"action": "set", "settings": null}', "settings: found None, expected a table; "),
        (b'{"action": "remove"}', "action: found 'remove', expected one of disable, enable, "),
        (b'{"action": 1, "x": ' + b"[" * 3000, "found no command; expected "),
    ],
)
def test_a_bad_plugin_command_is_refused_with_key_and_sentence(
    hub: HubProcess, body: bytes, said: str
) -> None:
    body = b'{"node": "p1", "plugin": "dht22", ' + body[1:]
    answer = hub.http.post("/api/plugins", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(said)


def test_a_plugin_is_set_and_the_nodes_sentence_returned(hub: HubProcess) -> None:
    hub.publish(Topic("c2", TopicKind.HEARTBEAT), heartbeat())
    wanted = {"node": "c2", "plugin": "dht22", "action": "set", "settings": {"high_c": None}}
    with setting_node(hub, "c2") as commands:
        answer = hub.http.post("/api/plugins", json=wanted)
    assert answer.json() == {"ok": True, **wanted, "finished_ms": NOW_MS}
    assert commands[0]["settings"] == {"high_c": None}
    with setting_node(hub, "c2", error="high_c: found 99, expected at most 80"):
        answer = hub.http.post("/api/plugins", json=wanted)
    assert (answer.status_code, answer.json()["error"]) == (
        502,
        "high_c: found 99, expected at most 80",
    )


def test_a_sensor_is_named_and_the_nodes_answer_returned(hub: HubProcess) -> None:
    hub.publish(Topic("c1", TopicKind.HEARTBEAT), heartbeat())
    body = {"node": "c1", "sensor": "dht22-gpio4", "title": "Desk"}
    with named_node(hub, "c1") as commands:
        answer = hub.http.post("/api/names", json=body)
    assert answer.json() == {"ok": True, **body, "finished_ms": NOW_MS}
    (command,) = commands
    assert {name: command[name] for name in ("sensor", "title")} == {
        "sensor": "dht22-gpio4",
        "title": "Desk",
    }
    assert "area" not in command
    with named_node(hub, "c1", error="sensor: found 'x'"):
        answer = hub.http.post("/api/names", json={"node": "c1", "sensor": "x", "area": ""})
    assert (answer.status_code, answer.json()["error"]) == (502, "sensor: found 'x'")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"node": "nobody", "title": "x"}', 404),
        (b'{"title": "x"}', 400),
        (b'{"node": "c1", "title": 4}', 400),
        (b'{"node": "c1", "title": "a\\nb"}', 400),
    ],
)
def test_a_bad_name_is_refused(hub: HubProcess, body: bytes, code: int) -> None:
    assert hub.http.post("/api/names", content=body).status_code == code
