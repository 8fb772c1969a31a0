"""Commands to LED strip and fan over HTTP."""

from bus.contract.messages import Fan, Leds
from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess
from tests.hub_app.connected_node import output_node


def test_a_led_and_the_whole_strip_are_coloured(hub: HubProcess) -> None:
    hub.publish(Topic("o1", TopicKind.LEDS), Leds(["#000000"] * 2))
    for command in ({"index": 1, "color": "#ff8800"}, {"all": "#000000"}):
        with output_node(hub, "o1", "leds") as commands:
            answer = hub.http.post("/api/leds", json={"node": "o1", **command})
        assert answer.json()["ok"]
        (sent,) = commands
        assert {key: sent[key] for key in sent if key != "id"} == command


def test_the_error_of_a_node_is_passed_on(hub: HubProcess) -> None:
    hub.publish(Topic("o2", TopicKind.LEDS), Leds(["#000000"]))
    with output_node(hub, "o2", "leds", "found 9, expected 0 to 0"):
        answer = hub.http.post("/api/leds", json={"node": "o2", "index": 9, "color": "#ff8800"})
    assert (answer.status_code, answer.json()["error"]) == (502, "found 9, expected 0 to 0")


def test_the_fan_is_left_to_its_plugin(hub: HubProcess) -> None:
    hub.publish(Topic("o3", TopicKind.FAN), Fan(on=True, mode="on"))
    with output_node(hub, "o3", "fan") as commands:
        assert hub.http.post("/api/fan", json={"node": "o3", "mode": "auto"}).json()["ok"]
    assert commands[0]["mode"] == "auto"


def test_a_wrong_command_is_refused_with_what_is_allowed(hub: HubProcess) -> None:
    for path, body in (("/api/fan", {"node": "o3", "mode": "fast"}), ("/api/leds", {"led": 1})):
        answer = hub.http.post(path, json=body)
        assert answer.status_code == 400
        assert "expected {" in answer.json()["error"]
    answer = hub.http.post("/api/fan", json={"node": "nobody", "mode": "on"})
    assert answer.status_code == 404
