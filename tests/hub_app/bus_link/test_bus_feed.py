"""Start and end of the hub's feed: what the broker acknowledges reaches the hub."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest

from broker.server import EmbeddedBroker
from bus.client.credentials import Connection
from bus.client.link import RawMessage
from bus.config.broker_table import BrokerConfig
from bus.contract.messages import encode
from hub_app.bus_link import bus_feed
from hub_app.bus_link.bus_feed import BusFeed
from hub_app.bus_link.ingest import LoopQueue, ingest
from hub_app.bus_link.record_barrier import RecordBarrier
from hub_app.history.inbox import Payload
from hub_app.process.supervisor import Supervisor
from hub_app.quota.refusals import Refusals
from tests.broker.auth.hub import hub_config
from tests.broker.embedded.raw import (
    CONNACK,
    PUBACK,
    PUBLISH,
    PUBREC,
    SUBACK,
    connect,
    publish,
    subscribe,
)
from tests.hub_app.samples import reading
from tests.support import HOST, WAIT_S, OpenGate, free_port

TOPIC, READING = reading()
MESSAGES = [
    (str(TOPIC), encode(READING)),
    ("harvester/pi4/events/bell", b'{"name":"pressed","data":{},"timestamp_ms":1}'),
    ("harvester/pi4/records/dht22", b"{}"),
    ("harvester/pi4/alarms/hot", b"{}"),
    ("harvester/pi4/status", b"{}"),
]


class Client:
    """A client that sends what it has to say before anything is answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, port: int, name: str, *packets: bytes) -> AsyncIterator[Self]:
        reader, writer = await asyncio.open_connection(HOST, port)
        client = cls(reader, writer)
        client.send(connect(name), *packets)
        try:
            yield client
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def send(self, *packets: bytes) -> None:
        self._writer.write(b"".join(packets))

    async def read(self) -> tuple[int, bytes]:
        """Return the kind and the body of the next packet."""
        async with asyncio.timeout(WAIT_S):
            kind, length = await self._reader.readexactly(2)
            shift, more = 7, length
            length &= 0x7F
            while more & 0x80:
                (more,) = await self._reader.readexactly(1)
                length |= (more & 0x7F) << shift
                shift += 7
            return kind >> 4, await self._reader.readexactly(length)

    async def expect(self, kind: int) -> bytes:
        found, body = await self.read()
        assert found == kind
        return body


class Hub:
    """The feed of a broker that is open, and what of it was ingested."""

    def __init__(self, state: Path) -> None:
        state.mkdir(exist_ok=True)
        self.port = free_port()
        self.heard: list[RawMessage] = []
        self._state = state
        self._to_record: list[Payload] = []
        # Whether the files of the records are written.
        self.are_written = asyncio.Event()
        self.are_written.set()
        self.broker = EmbeddedBroker(BrokerConfig(listen=HOST, port=self.port), OpenGate())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[BusFeed]:
        """Run the feed with its ingest, as the hub does before the broker's clients are served."""
        feed = bus_feed.create_feed(
            hub_config(self._state),
            Connection(((HOST, self.port),), None, self._state / "none"),
            {},
            self.broker,
            refusals=Refusals(),
            supervisor=Supervisor(),
            records_written=self.are_written.wait,
        )

        def handle(topic: str, payload: bytes) -> None:
            self.heard.append((topic, payload))
            self._to_record.append((topic, payload, None))

        def flush() -> None:
            feed.history.put_many(self._to_record)
            self._to_record.clear()

        assert feed.intake.barrier is not None
        async with bus_feed.running(feed), asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(ingest(feed.queue, handle, flush)),
                group.create_task(feed.intake.barrier.run()),
            ]
            try:
                yield feed
            finally:
                for task in tasks:
                    task.cancel()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while len(self.heard) < count:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)


def at_qos(qos: int) -> bytes:
    """Return the PUBLISH packets of all messages; those of QoS 2 are retained."""
    packets = [
        publish(*message, qos=qos, retain=qos == 2, packet_id=number)
        for number, message in enumerate(MESSAGES, 1)
    ]
    return b"".join(packets)


def test_what_comes_while_the_hub_starts_is_acknowledged_once_it_is_heard(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "state")

    async def run() -> None:
        await hub.broker.open()
        async with (
            Client.connected(hub.port, "once", at_qos(1)) as once,
            Client.connected(hub.port, "exactly", at_qos(2)) as exactly,
            hub.running() as feed,
        ):
            answer = asyncio.create_task(once.read())
            await asyncio.sleep(0)
            assert not answer.done()
            async with bus_feed.receiving(feed, hub.broker):
                assert (await answer)[0] == CONNACK
                await exactly.expect(CONNACK)
                for number in range(1, 1 + len(MESSAGES)):
                    assert await once.expect(PUBACK) == bytes((0, number))
                    assert await exactly.expect(PUBREC) == bytes((0, number))
                await hub.wait_for(2 * len(MESSAGES))
        await hub.broker.stop()

    asyncio.run(run())
    assert sorted(hub.heard) == sorted(MESSAGES * 2)


def test_what_is_acknowledged_until_the_end_is_heard(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "state")
    acknowledged: list[int] = []

    async def publish_on(client: Client) -> None:
        """Publish one event after the other until the broker takes no more."""
        await client.expect(CONNACK)
        for number in itertools.count(1):
            event = publish("harvester/pi4/events/bell", b"%d" % number, 1, packet_id=1)
            client.send(event)
            await client.expect(PUBACK)
            acknowledged.append(number)

    async def run() -> None:
        await hub.broker.open()
        async with hub.running() as feed, Client.connected(hub.port, "pi4") as client:
            async with bus_feed.receiving(feed, hub.broker):
                publishing = asyncio.create_task(publish_on(client))
                await hub.wait_for(200)
            heard = {int(payload) for _, payload in hub.heard}
        await hub.broker.stop()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await publishing
        assert len(acknowledged) >= 200
        assert set(acknowledged) <= heard

    asyncio.run(run())


def test_the_last_commit_is_still_told_to_the_nodes(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "state")

    async def run() -> None:
        await hub.broker.open()
        stored = subscribe(("harvester/pi4/stored", 0))
        async with Client.connected(hub.port, "pi4", stored, publish(*MESSAGES[0], qos=1)) as node:
            async with hub.running() as feed, bus_feed.receiving(feed, hub.broker):
                for kind in (CONNACK, SUBACK, PUBACK):
                    await node.expect(kind)
            assert b'"ranges":[[1,1]]' in await node.expect(PUBLISH)
            await hub.broker.stop()

    asyncio.run(run())


def test_a_record_is_acknowledged_once_it_is_in_its_file(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "state")
    record = "harvester/pi4/records/dht22"

    async def run() -> None:
        hub.are_written.clear()
        await hub.broker.open()
        async with (
            hub.running() as feed,
            bus_feed.receiving(feed, hub.broker),
            Client.connected(hub.port, "pi4") as node,
            Client.connected(hub.port, "pi5") as other,
        ):
            await node.expect(CONNACK)
            await other.expect(CONNACK)
            for number in (1, 2):
                node.send(publish(record, b"{}", 1, packet_id=number))
            await hub.wait_for(1)
            other.send(publish("harvester/pi5/events/bell", b"{}", 1, packet_id=7))
            assert await other.expect(PUBACK) == bytes((0, 7))
            # Behind a record that is not written yet, nothing more of its node is taken.
            assert [topic for topic, _ in hub.heard].count(record) == 1
            answer = asyncio.create_task(node.read())
            await asyncio.sleep(0)
            assert not answer.done()
            hub.are_written.set()
            assert await answer == (PUBACK, bytes((0, 1)))
            assert await node.expect(PUBACK) == bytes((0, 2))
        await hub.broker.stop()

    asyncio.run(run())


def test_a_failure_of_the_files_leaves_no_publisher_of_records_waiting() -> None:
    async def fail() -> None:
        raise RuntimeError("no thread")

    async def run() -> None:
        barrier = RecordBarrier(LoopQueue(), lambda: None, fail)
        future = barrier.future()
        with pytest.raises(RuntimeError):
            await barrier.run()
        assert future.done()

    asyncio.run(run())
