"""Start and end of the hub under load: what it acknowledges is there afterwards."""

import select
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker.auth import accounts
from bus.clock import now_ms
from bus.config.hub_files import ACCOUNTS_NAME
from bus.contract.messages import PluginRecord, encode
from bus.contract.topics import Topic, TopicKind
from tests.broker.embedded.raw import (
    CONNACK,
    PUBACK,
    SUBACK,
    RawClient,
    connect,
    publish,
    subscribe,
)
from tests.hub_app.hub_process import SLOW_START
from tests.hub_app.samples import reading
from tests.hub_app.whole_hub import Hub
from tests.support import wait_until, wait_until_listening

RECORD = Topic("pi4", TopicKind.RECORD, "dht22")
EVENT = Topic("pi4", TopicKind.EVENT, "bell")
# A broker that does not wait for the hub answers at once.
UNANSWERED_S = 1.0


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path)
    with made.http:
        yield made


def test_what_a_node_sends_while_the_hub_starts_is_stored(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = accounts.enroll(hub.state / ACCOUNTS_NAME, "pi4")
    is_ready = tmp_path / "ready"
    monkeypatch.setenv(SLOW_START, str(is_ready))
    topic, message = reading(now_ms(), temperature=40.0)
    record = PluginRecord("problem", "ab", now_ms(), 3, 0, b"content", "no answer")

    def be_a_node() -> list[str]:
        """Send everything before the hub is ready; return the topics that come back."""
        wait_until_listening(hub.mqtt_port)
        with RawClient(hub.mqtt_port) as node:
            node.send(
                connect("pi4", username="pi4", password=token.encode())
                + subscribe(("harvester/pi4/stored", 1))
                + publish(str(topic), encode(message), 1, retain=True, packet_id=1)
                + publish(
                    str(EVENT), b'{"name":"pressed","data":{},"timestamp_ms":1}', 1, packet_id=3
                )
                + publish(str(RECORD), encode(record), 1, packet_id=2)
            )
            readable, _, _ = select.select([node.sock], [], [], UNANSWERED_S)
            assert not readable
            is_ready.touch()
            for kind in (CONNACK, SUBACK, PUBACK, PUBACK, PUBACK):
                node.expect(kind)
            return [said.topic for said in node.take(1)]

    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(be_a_node)
        with hub.running(alarms='[{name="too-warm",field="temperature",above=30}]'):
            assert ended.result() == ["harvester/pi4/stored"]
            assert hub.sensors() == {"pi4:dht22-gpio4"}
            content = "/api/nodes/pi4/plugins/dht22/record"
            wait_until(lambda: hub.http.get(content).content == b"content")
            wait_until(lambda: hub.http.get("/api/alarms").json()["active"])
            (alarm,) = hub.http.get("/api/alarms").json()["active"]
            assert (alarm["node"], alarm["rule"]) == ("pi4", "too-warm"), alarm
