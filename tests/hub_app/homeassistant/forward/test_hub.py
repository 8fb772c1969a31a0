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
from tests.support import HOST, WAIT_S, Service, free_port, wait_until

FAN = "harvester/pi4/fan/cmd"
TEMPERATURE = "homeassistant/sensor/harvester_pi4_dht22-gpio4_temperature/config"


class Forwarding(msgspec.Struct):
    """A hub that forwards, with discovery; Home Assistant's broker; and the node pi4."""

    hub: Hub
    home: HomeBroker
    service: Service
    node: BusClient

    @property
    def status(self) -> dict[str, Any]:
        return forwarder_of(self.hub)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeBroker]:
    with HomeBroker(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def forwarding(home: HomeBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwarding]:
    hub = Hub(tmp_path_factory.mktemp("hub"))
    token = accounts.enroll(hub.state / "accounts.json", "pi4")
    with hub.http, hub.running(**keys_for(home)) as service, hub.node("pi4", token) as node:
        describe(node)
        yield Forwarding(hub, home, service, node)


def keys_for(home: HomeBroker) -> dict[str, str]:
    return {
        "homeassistant__discovery": "true",
        "homeassistant__broker": f"mqtt://{HOST}:{home.port}",
    }


def forwarder_of(hub: Hub) -> dict[str, Any]:
    found: dict[str, Any] = hub.http.get("/api/system").json()["homeassistant"]
    return found


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


def test_readings_go_there_and_what_does_not_decode_stays_here(forwarding: Forwarding) -> None:
    with HomeClient(forwarding.home.port) as client:
        forwarding.node.publish_payload(topic_of("bad"), b"nonsense")
        for seq in (1, 2):
            forwarding.node.publish_payload(topic_of("air"), reading("air", seq))
        client.wait_for(str(topic_of("air")), reading("air", 2))
        client.wait_for(STATE, b"online")
        assert str(topic_of("bad")) not in client.state


def test_a_command_reaches_the_node_once_and_its_failure_the_hubs_log(
    forwarding: Forwarding,
) -> None:
    heard: list[bytes] = []
    ears = BusClient(
        (HOST, forwarding.hub.mqtt_port),
        client_id="person",
        filters=[topic_filter(TopicKind.COMMAND, "pi4")],
        on_message=lambda _topic, payload: heard.append(payload),
    )
    ears.start()
    try:
        wait_until(lambda: ears.connected and forwarding.status["connected"])
        with HomeClient(forwarding.home.port) as client:
            client.publish(FAN, b"sideways")
            client.publish(FAN, b"on")
            wait_until(lambda: heard)
            command = msgspec.json.decode(heard[0])
            assert command["mode"] == "on"
            result = Result(command["id"], ok=False, error="the fan is stuck", finished_ms=1)
            forwarding.node.publish(Topic("pi4", TopicKind.RESULT, "fan"), result)
            log = forwarding.hub.directory / "log"
            wait_until(lambda: "fan of pi4: the fan is stuck" in log.read_text())
            assert encode(result) not in [payload for _, payload in client.heard]
            assert len(heard) == 1
    finally:
        ears.stop()
    found = forwarding.status
    assert (found["commands"], found["commands_refused"]) == (1, 1)
    assert "1 passed on, 1 refused" in forwarding.hub.http.get("/system").text


def test_page_health_and_metrics_have_its_state(forwarding: Forwarding) -> None:
    hub = forwarding.hub
    wait_until(lambda: forwarding.status["connected"])
    found = forwarding.status
    assert found["broker"] == f"mqtt://{HOST}:{forwarding.home.port}"
    assert found["since_ms"] > 0
    health = hub.http.get("/health").json()
    assert health["homeassistant"]["connected"]
    assert health["status"] == "ok"
    assert 'aria-labelledby="homeassistant-title">' in hub.http.get("/system").text
    metrics = hub.http.get("/metrics").text
    assert "harvester_homeassistant_up 1.0\n" in metrics
    assert "harvester_homeassistant_forwarded_total" in metrics


def test_entities_have_one_more_availability_and_outlive_a_loss_of_the_broker(
    forwarding: Forwarding,
) -> None:
    home = forwarding.home
    with HomeClient(home.port) as client:
        client.wait_for(TEMPERATURE)
        config = msgspec.json.decode(client.state[TEMPERATURE])
        topics = [one["topic"] for one in config["availability"]]
        assert topics == ["harvester/pi4/status", STATE]
        assert config["availability_mode"] == "all"
        client.wait_for(config["state_topic"])
        home.stop()
    home.start()
    with HomeClient(home.port) as client:
        for topic in (TEMPERATURE, config["state_topic"], "harvester/pi4/status"):
            client.wait_for(topic)
        client.wait_for(STATE, b"online")
    with HomeClient(forwarding.hub.mqtt_port) as own:
        own.wait_for("harvester/pi4/status")
        assert not [topic for topic in own.state if topic.startswith("homeassistant/")]


def test_a_removed_node_leaves_nothing_there(forwarding: Forwarding) -> None:
    with HomeClient(forwarding.home.port) as client:
        client.wait_for(TEMPERATURE)
        removal = {"history": False}
        answer = forwarding.hub.http.post("/api/nodes/pi4/remove", json=removal)
        assert answer.json()["ok"], answer.text
        wait_until(lambda: not of_node(client))
    # Nothing is retained for whoever comes later.
    with HomeClient(forwarding.home.port) as late:
        late.wait_for(STATE, b"online")
        assert of_node(late) == set()


def of_node(client: HomeClient) -> set[str]:
    return {topic for topic, payload in client.state.items() if payload and "pi4" in topic}


def test_a_kill_of_the_hub_is_told_and_so_is_its_return(forwarding: Forwarding) -> None:
    with HomeClient(forwarding.home.port) as client:
        client.wait_for(STATE, b"online")
        forwarding.service.process.send_signal(signal.SIGKILL)
        client.wait_for(STATE, b"offline")
        forwarding.service.process.wait(WAIT_S)
        with forwarding.hub.running(**keys_for(forwarding.home)) as again:
            client.wait_for(STATE, b"online")
            assert again.stop() == 0
        assert client.state[STATE] == b"offline"


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
