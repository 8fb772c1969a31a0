"""One MQTT connection: the broker's answer to its subscriptions."""

import logging
import queue
import select
import socket
import threading

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from broker.auth.gate import Identity
from bus.client.client import BusClient
from bus.client.connection import Connection, ConnectionConfig, Events, _refusals
from bus.client.link import WireMessage
from bus.contract.messages import Fan
from bus.contract.topics import Topic, TopicKind
from harvester.hub.open_broker import OpenGate
from tests.support import HOST, WAIT_S, Listener, embedded_broker, free_port, wait_until


@pytest.mark.parametrize(
    ("has_others", "is_connected", "patience_s"),
    [(False, False, 30), (False, True, 30), (True, False, 15), (True, True, 30)],
)
def test_a_silent_broker_is_given_up_sooner_where_there_are_others(
    has_others: bool, is_connected: bool, patience_s: float
) -> None:
    config = ConnectionConfig(
        address=(HOST, 1883), client_id="c", keepalive_s=15, has_others=has_others
    )
    assert config.patience_s(is_connected=is_connected) == patience_s


class GateOfOneRoot(OpenGate):
    """Lets nobody subscribe to topics of other systems."""

    def may_subscribe(self, identity: Identity, topic_filter: str) -> bool:
        return topic_filter.startswith("harvester/") and super().may_subscribe(
            identity, topic_filter
        )


def test_a_refused_subscription_is_an_error_that_names_the_filter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port, connected = free_port(), threading.Event()
    filters = ["harvester/#", "other/#"]
    with embedded_broker(port, GateOfOneRoot()):
        client = BusClient((HOST, port), client_id="c", filters=filters, on_connect=connected.set)
        client.start()
        assert connected.wait(WAIT_S)
        client.stop()
    refused = [text for text in caplog.messages if "refused the subscription" in text]
    assert len(refused) == 1
    assert "to other/#" in refused[0]


class ChangingGate(OpenGate):
    """Lets everybody in, and nobody subscribe until it is open."""

    is_open = False

    def may_subscribe(self, identity: Identity, topic_filter: str) -> bool:
        return self.is_open and super().may_subscribe(identity, topic_filter)


def test_a_refused_subscription_is_a_problem_and_asked_for_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.client.connection.RESUBSCRIBE_FIRST_S", 0.1)
    port, gate, heard = free_port(), ChangingGate(), threading.Event()
    connected = threading.Event()
    with embedded_broker(port, gate), caplog.at_level(logging.INFO):
        client = BusClient(
            (HOST, port),
            client_id="c",
            filters=["harvester/#"],
            on_message=lambda _topic, _payload: heard.set(),
            on_connect=connected.set,
        )
        client.start()
        assert connected.wait(WAIT_S)
        assert client.problem == "the broker refuses the subscription to harvester/#"
        gate.is_open = True
        wait_until(lambda: not client.problem)
        client.publish(Topic("pi4", TopicKind.FAN), Fan(on=True, mode="on"))
        assert heard.wait(WAIT_S)
        client.stop()
    assert sum("refused the subscription" in text for text in caplog.messages) == 1
    assert any("took the subscription to harvester/#" in text for text in caplog.messages)


def test_what_was_refused_is_asked_for_again_after_another_subscription(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bus.client.connection.RESUBSCRIBE_FIRST_S", 0.1)
    port, gate = free_port(), ChangingGate()
    connected, subscribed = threading.Event(), threading.Event()
    with embedded_broker(port, gate):
        connection = Connection(
            ConnectionConfig(
                address=(HOST, port), client_id="c", keepalive_s=30, filters=["harvester/#"]
            ),
            None,
            Events(on_connect=connected.set, on_subscribed=lambda _refused: subscribed.set()),
        )
        connection.open()
        watching = threading.Thread(target=connection.watch)
        watching.start()
        assert connected.wait(WAIT_S)
        connection.subscribe(["other/#"])
        assert subscribed.wait(WAIT_S)
        gate.is_open = True
        wait_until(lambda: not connection.refused_filters)
        connection.end()
        watching.join(WAIT_S)
        connection.close(disconnect=True)


def test_a_connection_that_ended_is_told_in_words(caplog: pytest.LogCaptureFixture) -> None:
    port, connected, told = free_port(), threading.Event(), queue.Queue[str]()
    client = BusClient(
        (HOST, port), client_id="c", on_connect=connected.set, on_disconnect=told.put
    )
    with embedded_broker(port, OpenGate()):
        client.start()
        assert connected.wait(WAIT_S)
    assert told.get(timeout=WAIT_S) == "the connection was closed"
    client.stop()
    text = f"lost the broker at {HOST}:{port}: the connection was closed"
    assert text in caplog.messages


def test_a_filter_without_a_code_in_the_suback_counts_as_refused() -> None:
    granted = ReasonCode(PacketTypes.SUBACK, "Granted QoS 1")
    assert _refusals(["a", "b"], [granted]) == [("b", "the broker gave no answer")]


def test_a_kept_session_brings_what_came_while_the_client_was_away(port: int) -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()

    def client() -> BusClient:
        return BusClient(
            (HOST, port),
            client_id="kept",
            filters=["harvester/+/+/+"],
            on_message=lambda topic, _payload: heard.put(topic),
            keep_session=True,
        )

    first, second = client(), client()
    first.start()
    wait_until(lambda: first.connected)
    first.stop()
    with Listener(port) as other:
        other.publish(Topic("pi4", TopicKind.EVENT, "door"), b"{}")
        other.wait_topic("harvester/pi4/events/door")
    second.start()
    assert heard.get(timeout=WAIT_S) == "harvester/pi4/events/door"
    second.stop()


@pytest.mark.parametrize("qos", [0, 1])
def test_subscriptions_have_the_qos_of_the_configuration(port: int, qos: int) -> None:
    heard: queue.SimpleQueue[WireMessage] = queue.SimpleQueue()
    connected = threading.Event()
    config = ConnectionConfig(
        address=(HOST, port),
        client_id="c",
        keepalive_s=15,
        filters=["harvester/+/stored"],
        filter_qos=qos,
    )
    events = Events(on_connect=connected.set, on_wire_message=heard.put)
    connection = Connection(config, None, events)
    connection.open()
    try:
        assert connected.wait(WAIT_S)
        connection.publish(WireMessage("harvester/pi4/stored", b"{}", qos=1))
        assert heard.get(timeout=WAIT_S).qos == qos
    finally:
        connection.close(disconnect=True)


class RecordingBroker(threading.Thread):
    """Broker for one client, which records the types of the packets that come."""

    def __init__(self) -> None:
        super().__init__()
        self._listening = socket.create_server((HOST, 0))
        self.port = self._listening.getsockname()[1]
        self.kinds: list[int] = []
        # Whether the client had sent more when it was answered that it has unsubscribed.
        self.had_more = False

    def run(self) -> None:
        with self._listening, self._listening.accept()[0] as sock, sock.makefile("rb") as file:
            while head := file.read(2):
                body = file.read(head[1])
                self.kinds.append(head[0] & 0xF0)
                if self.kinds[-1] == PacketTypes.CONNECT << 4:
                    sock.sendall(b"\x20\x02\0\0")
                elif self.kinds[-1] == PacketTypes.UNSUBSCRIBE << 4:
                    self.had_more = bool(select.select([sock], [], [], 0)[0])
                    sock.sendall(b"\xb0\x02" + body[:2])


def test_a_client_disconnects_once_the_broker_has_read_all_that_it_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a broker has not read is lost where the socket is closed with messages to come."""
    monkeypatch.setattr("bus.client.connection._READ_S", WAIT_S)
    broker, connected = RecordingBroker(), threading.Event()
    broker.start()
    client = BusClient((HOST, broker.port), client_id="c", on_connect=connected.set)
    client.start()
    assert connected.wait(WAIT_S)
    for _ in range(3):
        client.publish_wire(WireMessage("t", b"x", qos=0))
    client.stop()
    broker.join(WAIT_S)
    published, unsubscribed = PacketTypes.PUBLISH << 4, PacketTypes.UNSUBSCRIBE << 4
    assert broker.kinds[1:4] == [published] * 3
    assert broker.kinds[4:] == [unsubscribed, PacketTypes.DISCONNECT << 4]
    assert not broker.had_more
