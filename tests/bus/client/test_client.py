import threading

import pytest

from bus.client.client import BusClient
from bus.contract.messages import Fan, Status
from bus.contract.topics import Topic, TopicKind, topic_filter
from tests.support import HOST, WAIT_S, Listener


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
