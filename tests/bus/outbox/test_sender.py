"""From a node to the hub's history over a real broker: once each, live first, whatever breaks."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from broker.auth.gate import Attempt, Identity
from bus.client.client import BusClient
from bus.client.node import NodeBus
from bus.clock import Clock, Moment, now_ms
from bus.config.history_table import HistoryConfig
from bus.config.outbox_table import OutboxConfig
from bus.config.settings import BrokerConfig, ClusterConfig, Config, StorageConfig
from bus.contract.messages import Backlog, Reading, Stored
from bus.contract.topics import EVERYTHING, Topic, TopicKind
from hub_app.bus_link.ingest import Decoder
from hub_app.history.inbox import Inbox
from hub_app.history.recorder import Recorder
from tests.support import HOST, Listener, OpenGate, embedded_broker, free_port, wait_until

QUICK = OutboxConfig(live_s=0.5, disk_after_s=1, disk_every_s=0.5, resend_s=1.5)
PATIENT = OutboxConfig(live_s=60, disk_after_s=1, disk_every_s=0.5, resend_s=60)


class PushedClock(Clock):
    """The machine's clocks, which a test may push ahead."""

    ahead_ms = 0

    def now(self) -> Moment:
        moment = super().now()
        return msgspec.structs.replace(
            moment,
            wall_ms=moment.wall_ms + self.ahead_ms,
            monotonic_ms=moment.monotonic_ms + self.ahead_ms,
        )


@pytest.fixture(autouse=True)
def quick_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.client.backoff.FIRST_S", 0.05)
    monkeypatch.setattr("bus.client.backoff.LAST_S", 0.2)


def config(port: int, directory: Path, outbox: OutboxConfig = QUICK) -> Config:
    return Config(
        cluster=ClusterConfig(node_id="pi4"),
        broker=BrokerConfig(url=f"mqtt://{HOST}:{port}", keepalive_s=5),
        storage=StorageConfig(state_dir=str(directory / "pi4"), runtime_dir=str(directory / "run")),
        outbox=outbox,
    )


@contextlib.contextmanager
def hub(port: int, directory: Path) -> Iterator[Recorder]:
    """The hub's history on the bus, without the rest of it."""
    inbox = Inbox()
    decoder = Decoder(lambda _topic, _message: True, time.monotonic, record=inbox.put_many)

    def on_message(topic: str, payload: bytes) -> None:
        decoder.handle(topic, payload)
        decoder.flush()

    client = BusClient((HOST, port), client_id="hub", filters=[EVERYTHING], on_message=on_message)

    def publish(messages: Sequence[tuple[Topic, Stored]]) -> int:
        return sum(client.publish(topic, stored) is not None for topic, stored in messages)

    history = Recorder(
        "revpi",
        directory / "history.db",
        HistoryConfig(commit_s=0.05),
        inbox=inbox,
        publish=publish,
        now_ms=now_ms,
    )
    history.start()
    client.start()
    try:
        yield history
    finally:
        history.stop()
        client.stop()


def stored(directory: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(directory / "history.db")) as db:
        found = db.execute("SELECT data FROM readings ORDER BY stream, seq").fetchall()
    return [len(found)]


def wait_until_empty(bus: NodeBus) -> None:
    wait_until(lambda: not bus._outbox.rows)


def publish(bus: NodeBus, count: int) -> None:
    for n in range(count):
        bus.publish_reading("room", now_ms(), {"n": n})


def test_every_reading_is_in_the_history_once_and_leaves_the_outbox(tmp_path: Path) -> None:
    port = free_port()
    with embedded_broker(port), hub(port, tmp_path) as history:
        with NodeBus(config(port, tmp_path)) as bus:
            publish(bus, 300)
            wait_until_empty(bus)
        assert history.statistics.stored == 300
    assert stored(tmp_path) == [300]


def test_brokers_that_come_and_go_and_a_hub_that_restarts_lose_nothing(tmp_path: Path) -> None:
    port = free_port()
    with NodeBus(config(port, tmp_path)) as bus:
        publish(bus, 50)
        for _ in range(3):
            with embedded_broker(port), hub(port, tmp_path):
                publish(bus, 50)
                threading.Event().wait(0.2)
            publish(bus, 50)
        with embedded_broker(port), hub(port, tmp_path):
            wait_until_empty(bus)
    assert stored(tmp_path) == [350]


class LateGate(OpenGate):
    """Refuses the node until `opened`: a listener that comes after it may miss what it sends."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    async def authenticate(self, attempt: Attempt) -> Identity | None:
        is_node = attempt.client_id == "pi4"
        return None if is_node and not self.opened.is_set() else await super().authenticate(attempt)


def test_what_waits_goes_as_backlog_and_what_is_new_on_its_own_topic(tmp_path: Path) -> None:
    port, clock, gate = free_port(), PushedClock(), LateGate()
    with NodeBus(config(port, tmp_path, PATIENT), clock=clock) as bus:
        publish(bus, 1200)
        clock.ahead_ms = 3_600_000
        with embedded_broker(port, gate), Listener(port) as ears:
            gate.opened.set()
            bus.publish_reading("room", now_ms(), {"new": True})
            said = ears.wait_topic("harvester/pi4/readings/room")
            last = ears.wait_for(
                lambda s: isinstance(s.message, Backlog) and s.message.readings[-1].seq == 1200
            )
        readings = [s.message for s in ears.said if isinstance(s.message, Reading)]
        batches = [s.message.readings for s in ears.said if isinstance(s.message, Backlog)]
    assert isinstance(said.message, Reading)
    assert said.message.data == {"new": True}
    assert [reading.seq for reading in readings] == [1200]
    assert last.topic == Topic("pi4", TopicKind.BACKLOG)
    seqs = [reading.seq for batch in batches for reading in batch]
    assert seqs[:1200] == list(range(1200))
    assert len(batches[0]) == 500


def test_a_hub_with_a_fresh_disk_gets_all_that_it_did_not_acknowledge(tmp_path: Path) -> None:
    port = free_port()
    with embedded_broker(port), NodeBus(config(port, tmp_path)) as bus:
        publish(bus, 10)
        with hub(port, tmp_path):
            wait_until_empty(bus)
        publish(bus, 20)
        for file in tmp_path.glob("history.db*"):
            file.unlink()
        with hub(port, tmp_path):
            wait_until_empty(bus)
    assert stored(tmp_path) == [20]


def test_a_node_with_a_fresh_disk_begins_a_new_stream(tmp_path: Path) -> None:
    port = free_port()
    with embedded_broker(port), hub(port, tmp_path):
        for disk in ("one", "two"):
            with NodeBus(config(port, tmp_path / disk)) as bus:
                publish(bus, 10)
                wait_until_empty(bus)
    with contextlib.closing(sqlite3.connect(tmp_path / "history.db")) as db:
        found = db.execute("SELECT stream, count(*) FROM readings GROUP BY stream").fetchall()
    assert [count for _, count in found] == [10, 10]


def test_a_client_whose_link_stalls_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bus.client.connection._KEEPALIVES_WITHOUT_ANSWER", 0.1)
    port = free_port()
    with embedded_broker(port), NodeBus(config(port, tmp_path)) as bus:
        wait_connected(bus)
        before = bus._client._connection
        # As a broker that takes everything and acknowledges nothing.
        before._paho._handle_pubackcomp = lambda _cmd: 0  # type: ignore[method-assign]
        publish(bus, 1)
        wait_until(lambda: bus._client._connection is not before and bus.connected)
    assert "has not answered" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_client_whose_thread_died_is_built_anew(tmp_path: Path) -> None:
    port = free_port()
    with embedded_broker(port), hub(port, tmp_path), NodeBus(config(port, tmp_path)) as bus:
        wait_connected(bus)
        before = bus._client._connection

        def die() -> None:
            raise ZeroDivisionError

        before._paho.loop_misc = die
        publish(bus, 5)
        wait_until(lambda: bus._client._connection is not before)
        wait_until_empty(bus)


def wait_connected(bus: NodeBus) -> None:
    wait_until(lambda: bus.connected)
