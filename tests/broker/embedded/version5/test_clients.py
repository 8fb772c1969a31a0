"""Programs and libraries of others that speak MQTT 5, in their default settings."""

import subprocess
import threading
from collections.abc import Iterator

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.subscribeoptions import SubscribeOptions

from bus.client.connection import close_wakeup_sockets
from tests.broker.embedded.raw import SUBACK
from tests.broker.embedded.running import Running, running
from tests.broker.embedded.switch import ours_only
from tests.broker.embedded.version5.raw5 import client5
from tests.support import HOST, WAIT_S, program

pytestmark = ours_only


@pytest.fixture
def broker() -> Iterator[Running]:
    with running() as it:
        yield it


def _command(broker: Running, name: str, *arguments: str) -> list[str]:
    return [program(name), "-h", HOST, "-p", str(broker.port), "-V", "5", *arguments]


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_mosquittos_clients_exchange_properties(broker: Running) -> None:
    sub = _command(broker, "mosquitto_sub", "-t", "t", "-C", "1", "-q", "2", "-W", "60")
    with subprocess.Popen([*sub, "-F", "%p %C %P"], stdout=subprocess.PIPE, text=True) as ear:
        broker.wait_until(lambda: broker.filters() == 1)
        properties = [
            *("-D", "publish", "content-type", "text/plain"),
            *("-D", "publish", "user-property", "a", "b"),
        ]
        _run(_command(broker, "mosquitto_pub", "-t", "t", "-m", "hello", "-q", "2", *properties))
        assert ear.stdout is not None
        assert ear.stdout.read() == "hello text/plain a:b\n"
        assert ear.wait(WAIT_S) == 0


def test_a_request_gets_its_response(broker: Running) -> None:
    server = client5(broker, "server")
    server.subscribe5(("request", 1))

    def respond() -> None:
        (found,) = server.take5(1)
        assert found.properties.response_topic == "response"
        server.publish5("response", found.payload.upper(), 1)

    thread = threading.Thread(target=respond)
    thread.start()
    asked = _command(broker, "mosquitto_rr", "-t", "request", "-e", "response", "-m", "hello")
    assert _run([*asked, "-W", "60"]) == "HELLO\n"
    thread.join(WAIT_S)


def test_mosquitto_pub_hears_that_it_may_not(broker: Running) -> None:
    command = _command(broker, "mosquitto_pub", "-t", "$SYS/broker/x", "-m", "x", "-q", "1")
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert "not authori" in (done.stdout + done.stderr).lower()


class Paho:
    """paho's client with what it has heard."""

    def __init__(self, broker: Running, name: str, **options: object) -> None:
        self.messages: list[paho.MQTTMessage] = []
        self.subscribed, self.heard = threading.Event(), threading.Event()
        self.connected = threading.Event()
        self.disconnected: list[int] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.connect(HOST, broker.port, **options)  # type: ignore[arg-type]
        self.client.loop_start()
        assert self.connected.wait(WAIT_S)

    def _on_connect(self, *arguments: object) -> None:
        self.properties = arguments[-1]
        self.connected.set()

    def _on_disconnect(self, *arguments: object) -> None:
        self.disconnected.append(arguments[3].value)  # type: ignore[attr-defined]

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        self.messages.append(message)
        self.heard.set()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        close_wakeup_sockets(self.client)


def test_paho_receives_what_paho_publishes(broker: Running) -> None:
    ear, mouth = Paho(broker, "ear"), Paho(broker, "mouth")
    ear.client.subscribe("t/#", options=SubscribeOptions(qos=2, noLocal=True))
    assert ear.subscribed.wait(WAIT_S)
    properties = PahoProperties(PacketTypes.PUBLISH)
    properties.UserProperty = [("a", "1"), ("a", "2")]
    properties.ResponseTopic = "answers"
    properties.MessageExpiryInterval = 60
    mouth.client.publish("t/x", b"x", 2, properties=properties).wait_for_publish(WAIT_S)
    assert ear.heard.wait(WAIT_S)
    (found,) = ear.messages
    assert (found.payload, found.qos) == (b"x", 2)
    assert found.properties is not None
    assert found.properties.UserProperty == [("a", "1"), ("a", "2")]
    assert found.properties.ResponseTopic == "answers"
    assert found.properties.MessageExpiryInterval == 60
    ear.close()
    mouth.close()


def test_paho_hears_that_its_session_was_taken_over(broker: Running) -> None:
    first = Paho(broker, "twin")
    first.client.reconnect_delay_set(60, 120)
    client5(broker, "twin")
    broker.wait_until(lambda: bool(first.disconnected))
    assert first.disconnected == [0x8E]
    first.close()


def test_a_client_of_3_1_1_and_one_of_5_hear_each_other(broker: Running) -> None:
    old, new = broker.client("old"), client5(broker, "new")
    assert old.subscribe(("t", 2)) == [2]
    assert new.subscribe5(("t", 2)) == [2]
    assert SUBACK == 9
    old.publish("t", b"old", qos=2)
    new.publish5("t", b"new", 2)
    assert [message.payload for message in new.take5(2)] == [b"old", b"new"]
    assert [message.payload for message in old.take(2)] == [b"old", b"new"]
