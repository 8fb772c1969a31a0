"""Discovery of a running hub: on its own broker, over restarts, and while nodes come and go."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.auth import accounts
from broker.auth.gate import Role
from bus.client.client import BusClient
from bus.contract.messages import encode
from bus.contract.topics import Topic, TopicKind
from tests.broker.auth.hub import connected
from tests.default_descriptions import description_of
from tests.hub_app.homeassistant.forward.home import HomeBroker, HomeClient
from tests.hub_app.homeassistant.samples import about
from tests.hub_app.samples import reading
from tests.hub_app.whole_hub import NOW_MS, Hub, status
from tests.support import HOST, Service, wait_until

PASSWORD = "correct horse"
SENSOR = "dht22-gpio4"
TEMPERATURE = f"homeassistant/sensor/harvester_pi4_{SENSOR}_temperature/config"
DEVICE = f"homeassistant/device/harvester_pi4_{SENSOR}/config"


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


def discovery(port: int) -> HomeClient:
    return HomeClient(port, filters=["homeassistant/#"])


@contextlib.contextmanager
def discovered(hub: Hub) -> Iterator[tuple[BusClient, HomeClient]]:
    """Run a hub with discovery until the broker has that of a node; yield the node, too."""
    hub.state.mkdir(exist_ok=True)
    with hub.running(homeassistant__discovery="true"):
        token = accounts.enroll(hub.state / "accounts.json", "pi4")
        with hub.node("pi4", token) as client, discovery(hub.mqtt_port) as found:
            introduce(client)
            wait_until(lambda: TEMPERATURE in found.retained)
            yield client, found


def test_discovery_follows_a_node_a_restart_another_form_and_its_end(hub: Hub) -> None:
    with discovered(hub) as (client, found):
        config = msgspec.json.decode(found.retained[TEMPERATURE])
        assert config["device"]["name"] == "pi4"
        described = description_of(SENSOR, title="Desk")
        client.publish(Topic("pi4", TopicKind.SENSOR, SENSOR), described)
        wait_until(lambda: b"Desk Temperature" in found.retained[TEMPERATURE])
    keys = {"homeassistant__discovery": "true", "homeassistant__form": "device"}
    with hub.running(**keys), discovery(hub.mqtt_port) as found:
        wait_until(lambda: DEVICE in found.retained)
        wait_until(lambda: TEMPERATURE not in found.retained)
        assert hub.http.post("/api/nodes/pi4/remove", json={"history": False}).is_success
        wait_until(lambda: not found.retained)


def test_discovery_that_is_switched_off_is_gone_after_the_restart(hub: Hub) -> None:
    with discovered(hub):
        pass
    # Of the last filter's topics, so that all discovery that was retained has arrived before it.
    last = str(Topic("pi4", TopicKind.STATUS))
    filters = ["homeassistant/#", last]
    with hub.running() as service, HomeClient(hub.mqtt_port, filters=filters) as found:
        found.wait_for(last)
        wait_until(lambda: found.retained.keys() == {last})
        check_log(service)


def test_discovery_of_other_devices_stays_and_reaches_no_state(hub: Hub) -> None:
    hub.state.mkdir()
    file = hub.state / "accounts.json"
    accounts.set_password(file, "zigbee2mqtt", Role.DEVICE, PASSWORD, topics=["#"])
    token = accounts.enroll(file, "pi4")
    roots = {"broker__open_roots": '["homeassistant", "zigbee2mqtt"]'}
    other = "homeassistant/sensor/0x1/config"
    with (
        hub.running(**roots, homeassistant__discovery="true"),
        connected(hub.mqtt_port, "zigbee2mqtt", PASSWORD.encode()) as device,
        hub.node("pi4", token) as client,
        discovery(hub.mqtt_port) as found,
    ):
        for topic in (TEMPERATURE, other, "zigbee2mqtt/pi9/status"):
            device.publish(topic, b"{}", retain=True)
        introduce(client)
        wait_until(lambda: TEMPERATURE in found.retained)
        assert found.retained[TEMPERATURE] != b"{}"
        assert found.retained[other] == b"{}"
        assert hub.nodes() == {"pi4"}
    with hub.running(**roots), discovery(hub.mqtt_port) as found:
        wait_until(lambda: found.retained == {other: b"{}"})


def test_a_broker_elsewhere_that_lost_everything_has_it_again(hub: Hub, tmp_path: Path) -> None:
    with HomeBroker(tmp_path) as broker:
        elsewhere = f"mqtt://{HOST}:{broker.port}"
        keys = {"homeassistant__discovery": "true", "broker__url": elsewhere}
        node = BusClient((HOST, broker.port), client_id="pi4", on_connect=lambda: introduce(node))
        with hub.running(**keys), discovery(broker.port) as found:
            node.start()
            wait_until(lambda: TEMPERATURE in found.retained)
            broker.stop()
            found.heard.clear()
            broker.start()
            wait_until(lambda: TEMPERATURE in found.retained)
            node.stop()


def check_log(service: Service) -> None:
    assert not re.findall(r"Traceback|refused", service.output())
