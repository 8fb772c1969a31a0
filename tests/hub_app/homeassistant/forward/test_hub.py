"""A whole hub that forwards to a Mosquitto: what arrives there, what comes back, and its end."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.auth import accounts
from bus.client.client import BusClient
from bus.contract.messages import Result, encode
from bus.contract.topics import Topic, TopicKind, topic_filter
from tests.chaos.proxy import Proxy
from tests.hub_app.homeassistant.forward.home import (
    STATE,
    HomeBroker,
    HomeClient,
    reading,
    topic_of,
)
from tests.hub_app.whole_hub import Hub, status
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
                level for topic, _ in client.heard if topic != FAN for level in topic.split("/")
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


def test_an_absent_broker_is_no_fault_of_the_hub(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    home = HomeBroker(tmp_path)
    with hub.http, hub.running(homeassistant__broker=f"mqtt://{HOST}:{home.port}"):
        wait_until(lambda: "no broker at" in forwarder_of(hub)["last_error"])
        assert hub.http.get("/health").json()["status"] == "ok"
        assert "harvester_homeassistant_up 0.0\n" in hub.http.get("/metrics").text
        assert "no broker at" in hub.http.get("/system").text


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
