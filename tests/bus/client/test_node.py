"""The client, the node's side of the bus and the embedded broker, against one another."""

import asyncio
import contextlib
import logging
import threading
from pathlib import Path
from typing import Literal

import pytest

from broker.server import EmbeddedBroker
from bus.client import credentials
from bus.client.credentials import Connection, Credentials
from bus.client.login import Login
from bus.client.node import NodeBus
from bus.client.node_log import plugin_logger
from bus.config.settings import BrokerConfig, ClusterConfig, Config
from bus.contract.commands import parse_buzzer
from bus.contract.messages import Event, Heartbeat, Log, Reading, Status, encode
from bus.contract.topics import Topic, TopicKind, topic_filter
from bus.errors import MisconfiguredError
from bus.outbox.outbox import Sample
from tests.support import (
    HOST,
    WAIT_S,
    Listener,
    OpenGate,
    Said,
    embedded_broker,
    free_port,
    wait_until,
)


@pytest.fixture(autouse=True)
def own_outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


def config(port: int) -> Config:
    return Config(
        cluster=ClusterConfig(node_id="pi4"),
        broker=BrokerConfig(url=f"mqtt://{HOST}:{port}", keepalive_s=5),
    )


def states(said: Said) -> str:
    return said.message.state if isinstance(said.message, Status) else ""


def test_a_node_says_that_it_is_there_and_that_it_leaves(port: int) -> None:
    with Listener(port) as ears:
        with NodeBus(config(port)):
            ears.wait_for(lambda said: states(said) == "online")
        ears.wait_for(lambda said: states(said) == "offline")


@pytest.mark.parametrize("retain", [True, False])
def test_a_reading_is_retained_unless_the_configuration_says_otherwise(
    port: int, retain: bool
) -> None:
    broker = BrokerConfig(url=f"mqtt://{HOST}:{port}", retain_readings=retain)
    node = Config(cluster=ClusterConfig(node_id="pi4"), broker=broker)
    reading = topic_filter(TopicKind.READING, "pi4", "air")
    with Listener(port) as ears, NodeBus(node) as bus:
        wait_connected(bus)
        bus.publish_readings([Sample("air", 1_700_000_000_000, {"t": 1.0})])
        ears.wait_topic(reading)
    with Listener(port, "harvester/pi4/+/+") as later:
        later.publish(Topic("pi4", TopicKind.COMMAND, "fan"), b"auto")
        later.wait_topic("harvester/pi4/fan/cmd")
        heard = {str(said.topic) for said in later.said}
    assert (reading in heard) is retain


def test_on_a_cluster_a_node_says_again_that_it_is_online(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server that it has left may publish its last will meanwhile."""
    monkeypatch.setattr("bus.client.node._KEEPALIVES_UNTIL_WILL", 0)
    urls = f"mqtt://{HOST}:{port},mqtt://{HOST}:{free_port()}"
    node = Config(
        cluster=ClusterConfig(node_id="pi4"), broker=BrokerConfig(url=urls, keepalive_s=5)
    )
    with Listener(port) as ears, NodeBus(node) as bus:
        ears.wait_for(lambda said: states(said) == "online")
        ears.publish(Topic("pi4", TopicKind.STATUS), encode(status_of("offline")))
        ears.wait_for(lambda said: states(said) == "offline")
        heard = len(ears.said)
        bus.heartbeat(cycle_ms=1, rss_mb=1)
        ears.wait_for(lambda said: states(said) == "online", after=heard)


def status_of(state: Literal["online", "offline"]) -> Status:
    return Status(state, "spoke", "1", "boot", 0)


def test_status_is_retained_for_those_who_come_later(port: int) -> None:
    with NodeBus(config(port)) as bus:
        wait_connected(bus)
        with Listener(port) as ears:
            ears.wait_for(lambda said: states(said) == "online")


def test_every_reading_arrives_once_and_in_order(port: int) -> None:
    with Listener(port, topic_filter(TopicKind.READING)) as ears, NodeBus(config(port)) as bus:
        for n in range(200):
            bus.publish_reading("room", n, {"n": n})
        ears.wait_for(lambda said: isinstance(said.message, Reading) and said.message.seq == 199)
        seqs = [said.message.seq for said in ears.said if isinstance(said.message, Reading)]
    assert seqs == list(range(200))


def test_readings_wait_for_a_broker_that_is_not_there_yet() -> None:
    port = free_port()
    with NodeBus(config(port)) as bus:
        bus.publish_reading("room", 1, {"t": 20.5})
        with embedded_broker(port), Listener(port) as ears:
            said = ears.wait_topic("harvester/pi4/readings/room")
    assert isinstance(said.message, Reading)
    assert said.message.data == {"t": 20.5}


def test_events_wait_for_a_broker_that_is_not_there_yet_and_keep_their_order() -> None:
    port = free_port()
    with NodeBus(config(port)) as bus:
        for number in range(20):
            bus.publish_event("bell", Event("pressed", {"number": number}, 1))
        with embedded_broker(port), Listener(port, topic_filter(TopicKind.EVENT)) as ears:
            bus.publish_event("bell", Event("pressed", {"number": 20}, 1))
            ears.wait_for(lambda said: number_of(said) == 20)
            numbers = [number_of(said) for said in ears.said]
    # Those that were sent before the listener was there are not heard.
    assert numbers == sorted(numbers)


def test_an_event_is_heard_once_and_not_retained(port: int) -> None:
    with NodeBus(config(port)) as bus:
        wait_connected(bus)
        with Listener(port, topic_filter(TopicKind.EVENT)) as ears:
            bus.publish_event("bell", Event("pressed", {"number": 1}, 7))
            said = ears.wait_for(lambda said: number_of(said) == 1)
            assert str(said.topic) == "harvester/pi4/events/bell"
            wait_until(lambda: len(bus._events) == 0)
            bus.heartbeat(cycle_ms=1.5, rss_mb=20)
            bus.publish_event("bell", Event("pressed", {"number": 2}, 8))
            ears.wait_for(lambda said: number_of(said) == 2)
            assert [number_of(said) for said in ears.said] == [1, 2]
        with Listener(port, topic_filter(TopicKind.EVENT)) as later:
            bus.publish_event("bell", Event("pressed", {"number": 3}, 9))
            later.wait_for(lambda said: number_of(said) == 3)
            assert len(later.said) == 1


def test_a_sensor_id_that_no_topic_holds_is_dropped_with_a_warning(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with NodeBus(config(port)) as bus:
        bus.publish_reading("room/+", 1, {})
    assert "room/+" in caplog.text


def test_log_records_become_messages_with_their_source(port: int) -> None:
    with Listener(port) as ears, NodeBus(config(port)) as bus:
        wait_connected(bus)
        logging.getLogger("somewhere").warning("fan stuck")
        plugin_logger("dht22").warning("too dry")
        host = ears.wait_for(lambda said: message_of(said) == "fan stuck").message
        plugin = ears.wait_for(lambda said: message_of(said) == "too dry").message
    assert isinstance(host, Log)
    assert isinstance(plugin, Log)
    assert (host.level, host.source) == ("warning", "host")
    assert plugin.source == "plugin:dht22"


def test_heartbeats_count_up(port: int) -> None:
    with Listener(port) as ears, NodeBus(config(port)) as bus:
        wait_connected(bus)
        bus.heartbeat(cycle_ms=1.5, rss_mb=20)
        bus.heartbeat(cycle_ms=1.5, rss_mb=20)
        said = ears.wait_for(lambda s: isinstance(s.message, Heartbeat) and s.message.seq == 1)
    assert isinstance(said.message, Heartbeat)
    assert said.message.outbox_rows == 0


def test_a_command_reaches_its_node_and_no_other(port: int) -> None:
    heard: list[tuple[Topic, bytes]] = []
    got = threading.Event()

    def hear(topic: Topic, payload: bytes) -> None:
        heard.append((topic, payload))
        got.set()

    filters = [topic_filter(TopicKind.COMMAND, "pi4")]
    with Listener(port) as ears, NodeBus(config(port), filters=filters, on_message=hear) as bus:
        wait_connected(bus)
        ears.publish(Topic("revpi", TopicKind.COMMAND, "buzzer"), b"long")
        ears.publish(Topic("pi4", TopicKind.COMMAND, "buzzer"), b"beep")
        assert got.wait(WAIT_S)
    assert [parse_buzzer(payload).name for _, payload in heard] == ["beep"]


def test_corrected_credentials_are_taken_up_without_a_restart(tmp_path: Path) -> None:
    file, wrong, right = tmp_path / "credentials.toml", free_port(), free_port()
    save_credentials(file, f"mqtt://{HOST}:{wrong}")
    found = Config(
        cluster=ClusterConfig(node_id="pi4"), broker=BrokerConfig(credentials_file=str(file))
    )
    with embedded_broker(right), Listener(right) as ears, NodeBus(found):
        save_credentials(file, f"mqtt://{HOST}:{right}")
        ears.wait_for(lambda said: states(said) == "online")


def test_wrong_credentials_are_told_once_until_they_are_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, port = tmp_path / "credentials.toml", free_port()
    save_credentials(file, f"mqtt://{HOST}:{free_port()}")
    found = Config(
        cluster=ClusterConfig(node_id="pi4"), broker=BrokerConfig(credentials_file=str(file))
    )
    with embedded_broker(port), Listener(port) as ears:
        bus = NodeBus(found)
        file.write_text("token = ")
        assert [bus._read_login_again() for _ in range(3)] == [None] * 3
        save_credentials(file, f"mqtt://{HOST}:{port}")
        with bus:
            ears.wait_for(lambda said: states(said) == "online")
    assert caplog.text.count("found no valid TOML in UTF-8") == 1
    assert "credentials: works again" in caplog.text


@pytest.mark.parametrize(("token", "is_sent"), [("first", False), ("second", True)])
def test_a_token_that_was_used_with_tls_is_not_sent_without(token: str, is_sent: bool) -> None:
    file = Path("credentials.toml")
    before = Connection((("hub", 8883),), Login(username="pi4", token="first", tls=True), file)
    now = Connection((("hub", 1883),), Login(username="pi4", token=token), file)
    with contextlib.nullcontext() if is_sent else pytest.raises(MisconfiguredError) as caught:
        credentials.check_secrecy(before, now)
    assert is_sent or "first" not in str(caught.value)


def test_a_broker_port_in_use_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()

    async def start() -> None:
        broker = EmbeddedBroker(BrokerConfig(listen=HOST, port=port), OpenGate())
        starting = asyncio.create_task(broker.start())
        await asyncio.wait([starting], timeout=0.5)
        assert not starting.done()
        first.close()
        await starting
        assert broker.is_alive(1.0)
        await broker.stop()

    with contextlib.ExitStack() as first:
        first.enter_context(embedded_broker(port))
        asyncio.run(start())
    assert caplog.text.count(f"broker.port: cannot listen on {HOST}:{port}: ") == 1


def save_credentials(file: Path, url: str) -> None:
    credentials.save(file, Credentials(username="pi4", token="t" * 32, url=url))


def number_of(said: Said) -> object:
    return said.message.data.get("number") if isinstance(said.message, Event) else None


def message_of(said: Said) -> str:
    return said.message.message if isinstance(said.message, Log) else ""


def wait_connected(bus: NodeBus) -> None:
    wait_until(lambda: bus.connected)
