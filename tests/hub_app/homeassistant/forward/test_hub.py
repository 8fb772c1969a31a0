"""A whole hub that forwards to a Mosquitto: what arrives there, what comes back, and its end."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.auth import accounts
from bus.client.client import BusClient
from bus.contract.messages import Reading, Result, encode
from bus.contract.topics import Topic, TopicKind, topic_filter
from tests.chaos.proxy import Proxy
from tests.default_descriptions import description_of
from tests.hub_app.homeassistant.forward.home import (
    STATE,
    HomeBroker,
    HomeClient,
    reading,
    topic_of,
)
from tests.hub_app.homeassistant.samples import about
from tests.hub_app.whole_hub import NOW_MS, Hub, status
from tests.support import HOST, free_port, wait_until

FAN = "harvester/pi4/fan/cmd"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeBroker]:
    with HomeBroker(tmp_path_factory.mktemp("home")) as running:
        yield running


def forwarder_of(hub: Hub) -> dict[str, Any]:
    found: dict[str, Any] = hub.http.get("/api/system").json()["homeassistant"]
    return found


def say_all(node: BusClient) -> None:
    said = status("online")
    wait_until(lambda: node.publish(Topic("pi4", TopicKind.STATUS), said) is not None)
    for seq in (1, 2):
        node.publish_payload(topic_of("air"), reading("air", seq))
    # What does not decode stays here.
    node.publish_payload(topic_of("bad"), b"nonsense")


def test_readings_go_there_commands_come_back_and_a_kill_is_told(
    home: HomeBroker, tmp_path: Path
) -> None:
    hub = Hub(tmp_path)
    token = accounts.enroll(hub.state / "accounts.json", "pi4")
    keys = {"homeassistant__broker": f"mqtt://{HOST}:{home.port}"}
    with hub.http, HomeClient(home.port) as client:
        with hub.running(**keys) as service, hub.node("pi4", token) as node:
            say_all(node)
            client.wait_for(str(topic_of("air")), reading("air", 2))
            client.wait_for(STATE, b"online")
            answered(hub, client, token)
            assert not {"bad", "cmd", "result"} & {
                level
                for topic, _ in client.heard
                if topic != FAN and "/probe-" not in topic
                for level in topic.split("/")
            }
            shown(hub, home.port)
            service.process.send_signal(signal.SIGKILL)
            client.wait_for(STATE, b"offline")
        # The node went meanwhile; its will is known here when the hub is back.
        with hub.running(**keys) as service:
            client.wait_for(STATE, b"online")
            wait_until(lambda: forwarder_of(hub)["topics"])
            assert service.stop() == 0
        assert client.state[STATE] == b"offline"


def answered(hub: Hub, client: HomeClient, token: str) -> None:
    """A command of Home Assistant reaches the node, once; its failure is in the hub's log."""
    heard: list[bytes] = []
    ears = BusClient(
        (HOST, hub.mqtt_port),
        client_id="person",
        filters=[topic_filter(TopicKind.COMMAND, "pi4")],
        on_message=lambda _topic, payload: heard.append(payload),
    )
    ears.start()
    try:
        wait_until(lambda: ears.connected)
        client.publish(FAN, b"sideways")
        client.publish(FAN, b"on")
        wait_until(lambda: heard)
    finally:
        ears.stop()
    command = msgspec.json.decode(heard[0])
    assert command["mode"] == "on"
    assert len(heard) == 1
    with hub.node("pi4", token) as node:
        result = Result(command["id"], ok=False, error="the fan is stuck", finished_ms=1)
        answer = Topic("pi4", TopicKind.RESULT, "fan")
        wait_until(lambda: node.publish(answer, result) is not None)
        wait_until(lambda: "fan of pi4: the fan is stuck" in (hub.directory / "log").read_text())
    assert encode(result) not in [payload for _, payload in client.heard]


def shown(hub: Hub, port: int) -> None:
    """The state is on the page, in the API, in `/health` and in the metrics."""
    found = forwarder_of(hub)
    assert found["broker"] == f"mqtt://{HOST}:{port}"
    assert found["connected"]
    assert found["since_ms"] > 0
    assert (found["commands"], found["commands_refused"]) == (1, 1)
    health = hub.http.get("/health").json()
    assert health["homeassistant"]["connected"]
    assert health["status"] == "ok"
    page = hub.http.get("/system").text
    assert 'aria-labelledby="homeassistant-title">' in page
    assert "1 passed on, 1 refused" in page
    metrics = hub.http.get("/metrics").text
    assert "harvester_homeassistant_up 1.0\n" in metrics
    assert 'harvester_homeassistant_commands_total{outcome="refused"} 1.0\n' in metrics


def test_entities_are_there_with_one_more_availability_and_go_with_their_node(
    tmp_path: Path,
) -> None:
    hub = Hub(tmp_path)
    token = accounts.enroll(hub.state / "accounts.json", "pi4")
    with HomeBroker(tmp_path) as home:
        keys = {
            "homeassistant__discovery": "true",
            "homeassistant__broker": f"mqtt://{HOST}:{home.port}",
        }
        with hub.http, hub.running(**keys), hub.node("pi4", token) as node:
            describe(node)
            with HomeClient(home.port) as client:
                client.wait_for(TEMPERATURE)
                config = msgspec.json.decode(client.state[TEMPERATURE])
                assert [one["topic"] for one in config["availability"]] == [
                    "harvester/pi4/status",
                    STATE,
                ]
                assert config["availability_mode"] == "all"
                client.wait_for(config["state_topic"])
                # A broker that has lost everything has it again.
                home.stop()
            home.start()
            with HomeClient(home.port) as client:
                for topic in (TEMPERATURE, config["state_topic"], "harvester/pi4/status"):
                    client.wait_for(topic)
                client.wait_for(STATE, b"online")
                with HomeClient(hub.mqtt_port) as own:
                    own.wait_for("harvester/pi4/status")
                    assert not [t for t in own.state if t.startswith("homeassistant/")]
                answer = hub.http.post("/api/nodes/pi4/remove", json={"history": False})
                assert answer.json()["ok"], answer.text
                wait_until(lambda: not of_node(client))
            # Nothing is retained for whoever comes later.
            with HomeClient(home.port) as late:
                late.wait_for(STATE, b"online")
                assert of_node(late) == set()


TEMPERATURE = "homeassistant/sensor/harvester_pi4_dht22-gpio4_temperature/config"


def of_node(client: HomeClient) -> set[str]:
    return {topic for topic, payload in client.state.items() if payload and "pi4" in topic}


def describe(node: BusClient) -> None:
    """Publish what a node says of itself and of one sensor."""
    sensor = "dht22-gpio4"
    said = {
        Topic("pi4", TopicKind.STATUS): status("online"),
        Topic("pi4", TopicKind.ABOUT): about(),
        Topic("pi4", TopicKind.SENSOR, sensor): description_of(sensor),
    }
    for topic, message in said.items():
        wait_until(lambda t=topic, m=message: node.publish(t, m) is not None)
    data = {"temperature": 23.1, "humidity": 43.7}
    reading_of_it = Reading("pi4", sensor, NOW_MS, "stream", 1, data, "dht22")
    node.publish(Topic("pi4", TopicKind.READING, sensor), reading_of_it)


def test_an_absent_broker_is_no_fault_of_the_hub(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    home = HomeBroker(tmp_path)
    token = accounts.enroll(hub.state / "accounts.json", "pi4")
    keys = {
        "homeassistant__broker": f"mqtt://{HOST}:{home.port}",
        "homeassistant__discovery": "true",
        "homeassistant__discovery_here": "true",
    }
    with hub.http, hub.running(**keys):
        wait_until(lambda: "no broker at" in forwarder_of(hub)["last_error"])
        assert hub.http.get("/health").json()["status"] == "ok"
        assert "harvester_homeassistant_up 0.0\n" in hub.http.get("/metrics").text
        assert "no broker at" in hub.http.get("/system").text
        # Discovery on the hub's own broker knows no forwarder.
        with hub.node("pi4", token) as node, HomeClient(hub.mqtt_port) as own:
            describe(node)
            own.wait_for(TEMPERATURE)
            config = msgspec.json.decode(own.state[TEMPERATURE])
            assert [one["topic"] for one in config["availability"]] == ["harvester/pi4/status"]


def test_the_hubs_own_broker_behind_a_proxy_is_left(tmp_path: Path) -> None:
    """Its own rules keep what is forwarded out, so only commands tell."""
    hub = Hub(tmp_path)
    with (
        hub.http,
        Proxy(free_port(), hub.mqtt_port) as proxy,
        hub.running(homeassistant__broker=f"mqtt://{HOST}:{proxy.port}"),
    ):
        wait_until(lambda: "it is the hub's own broker" in forwarder_of(hub)["last_error"])
        wait_until(lambda: not forwarder_of(hub)["connected"])
        with HomeClient(hub.mqtt_port) as bus:
            for word in (b"beep", b"off"):
                bus.publish("harvester/pi4/buzzer/cmd", word)
            bus.wait_for("harvester/pi4/buzzer/cmd", b"off")
            commands = [payload for topic, payload in bus.heard if topic.endswith("buzzer/cmd")]
            assert commands == [b"beep", b"off"]
        assert hub.http.get("/health").json()["status"] == "ok"


def test_without_a_forwarder_nothing_speaks_of_one(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    with hub.http, hub.running():
        assert hub.http.get("/api/system").json()["homeassistant"] is None
        assert "homeassistant" not in hub.http.get("/health").json()
        assert "harvester_homeassistant" not in hub.http.get("/metrics").text
        assert 'aria-labelledby="homeassistant-title" hidden>' in hub.http.get("/system").text
