import logging
import socket
import threading

import pytest

from bus.client.client import BusClient
from bus.contract.messages import Fan, Status
from bus.contract.topics import Topic, TopicKind, topic_filter
from tests.support import HOST, WAIT_S, Listener, embedded_broker, free_port, wait_until


def test_the_broker_announces_a_node_whose_connection_breaks(port: int) -> None:
    status = Topic("pi4", TopicKind.STATUS)
    will = Status("offline", "spoke", "0", "boot", 0)
    connected = threading.Event()
    client = BusClient((HOST, port), client_id="n", will=(status, will), on_connect=connected.set)
    with Listener(port) as ears:
        client.start()
        assert connected.wait(WAIT_S)
        break_connection(client)
        ears.wait_for(lambda said: said.message == will)
        client.stop()


def test_a_callback_that_raises_does_not_end_the_client(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    heard = threading.Semaphore(0)

    def fail(_text: str, _payload: bytes) -> None:
        heard.release()
        raise ZeroDivisionError

    connected = threading.Event()
    client = BusClient(
        (HOST, port),
        client_id="fragile",
        filters=[topic_filter(TopicKind.FAN)],
        on_message=fail,
        on_connect=connected.set,
    )
    client.start()
    with Listener(port):
        assert connected.wait(WAIT_S)
        for _ in range(2):
            client.publish(Topic("pi4", TopicKind.FAN), Fan(on=True, mode="on"))
            assert heard.acquire(timeout=WAIT_S)
    client.stop()
    assert "ZeroDivisionError" in caplog.text


def test_clients_that_end_each_others_connections_say_so(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    twins = [BusClient((HOST, port), client_id="twin") for _ in range(2)]
    for twin in twins:
        twin.start()
    said = "expected no other client with the identifier twin"
    wait_until(lambda: any(said in twin.problem for twin in twins))
    wait_until(lambda: said in caplog.text)
    for twin in twins:
        twin.stop()


def test_a_client_that_loses_an_address_goes_on_at_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = free_port(), free_port()
    with embedded_broker(second):
        with embedded_broker(first):
            client = BusClient((HOST, first), others=[(HOST, second)], client_id="n")
            client.start()
            wait_until(lambda: client.connected)
            assert client.address == (HOST, first)
        wait_until(lambda: client.connected and client.address == (HOST, second))
        client.stop()
    assert f"lost the broker at {HOST}:{first}" in caplog.text


def test_a_client_goes_on_from_an_address_that_takes_connections_and_says_nothing() -> None:
    port = free_port()
    with socket.create_server((HOST, 0)) as silent, embedded_broker(port):
        address = HOST, silent.getsockname()[1]
        client = BusClient(address, others=[(HOST, port)], client_id="n", keepalive_s=1)
        client.start()
        wait_until(lambda: client.connected)
        assert client.address == (HOST, port)
        client.stop()


def test_each_address_without_a_broker_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.client.backoff.FIRST_S", 0.0)
    ports, tries = [free_port(), free_port()], threading.Semaphore(0)
    client = BusClient(
        (HOST, ports[0]),
        others=[(HOST, ports[1])],
        client_id="n",
        relogin=tries.release,
    )
    with caplog.at_level(logging.INFO):
        client.start()
        for _ in range(5):
            assert tries.acquire(timeout=WAIT_S)
        client.stop()
    for port in ports:
        said = [text for text in caplog.messages if text.startswith(f"no broker at {HOST}:{port} ")]
        assert len(said) == 1


def test_stopping_twice_is_fine(port: int) -> None:
    client = BusClient((HOST, port), client_id="twice")
    client.start()
    client.stop()
    client.stop()


def break_connection(client: BusClient) -> None:
    """Close the socket without a DISCONNECT, as a killed process does."""
    sock = client._connection._paho.socket()
    assert sock is not None
    sock.shutdown(2)
