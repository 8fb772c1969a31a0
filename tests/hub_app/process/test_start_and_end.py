"""Start and end of the hub under load: what it acknowledges is there afterwards."""

import contextlib
import itertools
import select
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from broker.auth import accounts
from bus.clock import now_ms
from bus.config.hub_files import ACCOUNTS_NAME
from bus.contract.messages import Message, PluginRecord, PluginState, encode
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
from tests.support import WAIT_S, wait_until, wait_until_listening

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
            # The disk of the machine may be full, too.
            wait_until(lambda: ("pi4", "too-warm") in alarms(hub))


def alarms(hub: Hub) -> list[tuple[str, str]]:
    """Return node and rule of each active alarm."""
    active = hub.http.get("/api/alarms").json()["active"]
    return [(alarm["node"], alarm["rule"]) for alarm in active]


class Publisher(threading.Thread):
    """A node that publishes states and records of a plugin, each once the last is acknowledged."""

    def __init__(self, hub: Hub, name: str) -> None:
        super().__init__()
        self.name = name
        self.states: list[str] = []
        # The time of the last record.
        self.record_ms = 0
        self._token = accounts.enroll(hub.state / ACCOUNTS_NAME, name)
        self._port = hub.mqtt_port

    def run(self) -> None:
        with RawClient(self._port) as raw, contextlib.suppress(AssertionError, OSError):
            raw.connect(self.name, username=self.name, password=self._token.encode())
            for number in itertools.count(1):
                error = f"fault {number}"
                state = PluginState("failed", "ab", 1, 0, error, since_ms=number)
                self._publish(raw, TopicKind.PLUGIN, state, retain=True)
                self.states.append(f"failed: {error}")
                record = PluginRecord("fault", "ab", number, 3, 0, b"content", error)
                self._publish(raw, TopicKind.RECORD, record)
                self.record_ms = number

    def _publish(
        self, raw: RawClient, kind: TopicKind, message: Message, *, retain: bool = False
    ) -> None:
        raw.send(publish(str(Topic(self.name, kind, "room")), encode(message), 1, retain=retain))
        raw.expect(PUBACK)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_is_acknowledged_before_the_end_of_the_hub_is_on_its_disk(
    hub: Hub, number: signal.Signals
) -> None:
    nodes = [Publisher(hub, f"pi{n}") for n in range(4)]
    with hub.running(limits__events_per_minute=100_000) as service:
        for node in nodes:
            node.start()
        wait_until(lambda: min(node.record_ms for node in nodes) > 5)
        service.stop(number=number)
        for node in nodes:
            node.join(WAIT_S)
    for node in nodes:
        file = hub.state / "records" / f"{node.name}.room.json"
        record = msgspec.json.decode(file.read_bytes(), type=PluginRecord)
        assert record.made_ms >= node.record_ms > 5
    if number == signal.SIGTERM:
        assert {(node.name, state) for node in nodes for state in node.states} <= told(hub)


def told(hub: Hub) -> set[tuple[str, str]]:
    """Return what the history has of plugins: nodes and states."""
    with contextlib.closing(sqlite3.connect(hub.state / "history.db")) as db:
        states = "SELECT node.name, detail FROM event JOIN node ON node.id = node"
        return set(db.execute(f"{states} WHERE kind = 'plugin'"))
