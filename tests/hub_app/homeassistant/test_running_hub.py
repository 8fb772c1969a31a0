"""Discovery of a running hub: on its own broker, over restarts, and while nodes come and go."""

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec
import pytest

from broker.auth import accounts
from bus.client.client import BusClient
from bus.contract.messages import encode
from bus.contract.topics import Topic, TopicKind
from tests.default_descriptions import description_of
from tests.hub_app.homeassistant.forward.home import HomeBroker
from tests.hub_app.homeassistant.samples import about
from tests.hub_app.samples import reading
from tests.hub_app.whole_hub import NOW_MS, Hub, status
from tests.support import HOST, WAIT_S, Service, wait_until

SENSOR = "dht22-gpio4"
TEMPERATURE = f"homeassistant/sensor/harvester_pi4_{SENSOR}_temperature/config"
DEVICE = f"homeassistant/device/harvester_pi4_{SENSOR}/config"


class Discovered:
    """What the broker has on Home Assistant's topics."""

    def __init__(self, port: int) -> None:
        self.payloads: dict[str, bytes] = {}
        self._connected = threading.Event()
        self._client = BusClient(
            (HOST, port),
            client_id=f"ha-{os.urandom(4).hex()}",
            filters=["homeassistant/#"],
            on_message=self._on_message,
            on_connect=self._connected.set,
        )

    def __enter__(self) -> Self:
        self._client.start()
        assert self._connected.wait(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop()

    def _on_message(self, topic: str, payload: bytes) -> None:
        if payload:
            self.payloads[topic] = payload
        else:
            self.payloads.pop(topic, None)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path)
    yield made
    made.http.close()


def introduce(client: BusClient) -> None:
    topic, message = reading(NOW_MS, sensor=SENSOR, temperature=21.0, humidity=50.0)
    for where, said in (
        (Topic("pi4", TopicKind.STATUS), status("online")),
        (Topic("pi4", TopicKind.ABOUT), about()),
        (Topic("pi4", TopicKind.SENSOR, SENSOR), description_of(SENSOR)),
        (topic, message),
    ):
        assert client.publish_payload(where, encode(said)) is not None


def test_discovery_follows_a_node_a_restart_another_form_and_its_end(hub: Hub) -> None:
    hub.state.mkdir(exist_ok=True)
    with hub.running(homeassistant__discovery="true"):
        token = accounts.enroll(hub.state / "accounts.json", "pi4")
        with hub.node("pi4", token) as client, Discovered(hub.mqtt_port) as found:
            introduce(client)
            wait_until(lambda: TEMPERATURE in found.payloads)
            config = msgspec.json.decode(found.payloads[TEMPERATURE])
            assert config["device"]["name"] == "pi4"
            described = description_of(SENSOR, title="Desk")
            client.publish(Topic("pi4", TopicKind.SENSOR, SENSOR), described)
            wait_until(lambda: b"Desk Temperature" in found.payloads[TEMPERATURE])
    keys = {"homeassistant__discovery": "true", "homeassistant__form": "device"}
    with hub.running(**keys), Discovered(hub.mqtt_port) as found:
        wait_until(lambda: DEVICE in found.payloads)
        wait_until(lambda: TEMPERATURE not in found.payloads)
        assert hub.http.post("/api/nodes/pi4/remove", json={"history": False}).is_success
        wait_until(lambda: not found.payloads)


def test_discovery_that_is_switched_off_is_gone_after_the_restart(hub: Hub) -> None:
    hub.state.mkdir(exist_ok=True)
    with hub.running(homeassistant__discovery="true"):
        token = accounts.enroll(hub.state / "accounts.json", "pi4")
        with hub.node("pi4", token) as client, Discovered(hub.mqtt_port) as found:
            introduce(client)
            wait_until(lambda: TEMPERATURE in found.payloads)
    with hub.running() as service, Discovered(hub.mqtt_port) as found:
        wait_until(lambda: not found.payloads)
        check_log(service)


def test_a_broker_elsewhere_that_lost_everything_has_it_again(hub: Hub, tmp_path: Path) -> None:
    with HomeBroker(tmp_path) as broker:
        elsewhere = f"mqtt://{HOST}:{broker.port}"
        keys = {"homeassistant__discovery": "true", "broker__url": elsewhere}
        node = BusClient((HOST, broker.port), client_id="pi4", on_connect=lambda: introduce(node))
        with hub.running(**keys), Discovered(broker.port) as found:
            node.start()
            wait_until(lambda: TEMPERATURE in found.payloads)
            broker.stop()
            found.payloads.clear()
            broker.start()
            wait_until(lambda: TEMPERATURE in found.payloads)
            node.stop()


def check_log(service: Service) -> None:
    assert not re.findall(r"Traceback|refused", service.output())
