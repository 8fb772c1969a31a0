"""One MQTT connection: the broker's answer to its subscriptions."""

import threading

import pytest

from bus.client.client import BusClient
from tests.support import HOST, WAIT_S, embedded_broker, free_port


def test_a_refused_subscription_is_an_error_that_names_the_filter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port, connected = free_port(), threading.Event()
    filters = ["harvester/#", "$share/group/harvester/#"]
    with embedded_broker(port):
        client = BusClient((HOST, port), client_id="c", filters=filters, on_connect=connected.set)
        client.start()
        assert connected.wait(WAIT_S)
        client.stop()
    refused = [text for text in caplog.messages if "refused the subscription" in text]
    assert len(refused) == 1
    assert "to $share/group/harvester/#" in refused[0]
