"""Malformed packets at every stage, floods and stalls: only their sender is disconnected."""

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from broker.auth.gate import Attempt, Identity, Role
from broker.embedded.incoming.handler import Handler
from broker.embedded.net.connection import Connection
from broker.embedded.net.listener import Listener
from broker.embedded.net.websocket.frames import Opcode
from broker.embedded.net.websocket.handshake import WebSocketPolicy
from broker.embedded.outgoing.sender import Sender
from broker.embedded.packets.model import Properties
from broker.embedded.session import ClientSession
from broker.embedded.statistics import BrokerSnapshot
from broker.server import EmbeddedBroker
from bus.config.broker_table import BrokerConfig
from tests.broker.embedded.malformed import malformed
from tests.broker.embedded.net.websocket.test_frames import masked
from tests.broker.embedded.net.websocket.test_handshake import request
from tests.broker.embedded.raw import connect, publish, subscribe
from tests.broker.embedded.version5.raw5 import connect5, publish5, subscribe5
from tests.support import HOST, WAIT_S, OpenGate, free_port
from tests.thoroughness import examples

PACKETS = examples(1_000)
# Of the series; another one shows other packets.
SEED = int(os.environ.get("HARVESTER_FUZZ_SEED", "0"))
AT_A_TIME = 8
FLOOD = 40_000
FLOOD_PAYLOAD = b"x" * 1_000
BEAT_S = 0.01
CONNECTIONS = 20


class FuzzGate(OpenGate):
    """Lets in whom a test names; so what a broken CONNECT asks for is never granted by chance."""

    async def authenticate(self, attempt: Attempt) -> Identity | None:
        return Identity("fuzz", Role.HUB) if attempt.username == "let me in" else None


def arriving(client_id: str, **options: Any) -> bytes:
    return connect(client_id, username="let me in", **options)


def arriving3_1(client_id: str) -> bytes:
    return arriving(client_id, level=3, name=b"MQIsdp")


def arriving5(client_id: str) -> bytes:
    will = ("fuzz/will", b"gone", 1, True, Properties(will_delay_s=1))
    return connect5(client_id, username="let me in", will=will, topic_alias_maximum=5)


# Subscribed at QoS 2, with a message that is in flight in both directions.
IN_FLIGHT = subscribe(("fuzz/topic", 2)) + publish("fuzz/topic", b"payload", 2, packet_id=8)
IN_FLIGHT_5 = subscribe5(("fuzz/topic", 2)) + publish5("fuzz/topic", b"payload", 2, packet_id=8)

# By version of MQTT: 3 is 3.1, and 4 is 3.1.1.
STAGES = {
    (4, "before CONNECT"): b"",
    (4, "after CONNECT"): arriving("fuzz-%d"),
    (4, "after SUBSCRIBE"): arriving("fuzz-%d")
    + subscribe(("fuzz/topic", 1), ("$SYS/broker/uptime", 0)),
    (5, "before CONNECT"): b"",
    (5, "after CONNECT"): arriving5("fuzz-%d"),
    (5, "after SUBSCRIBE"): arriving5("fuzz-%d")
    + subscribe5(("fuzz/topic", 0x0E), ("$SYS/broker/uptime", 0), identifier=7),
    (3, "in flight"): arriving3_1("fuzz-%d") + IN_FLIGHT,
    (4, "in flight"): arriving("fuzz-%d") + IN_FLIGHT,
    (5, "in flight"): arriving5("fuzz-%d") + IN_FLIGHT_5,
    (3, "in a WebSocket"): arriving3_1("fuzz-%d"),
    (4, "in a WebSocket"): arriving("fuzz-%d") + IN_FLIGHT,
    (5, "in a WebSocket"): arriving5("fuzz-%d") + IN_FLIGHT_5,
}


class Bystander:
    """Two healthy clients; what one says the other hears, each message once and in order."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._said = 0
        self.heard: list[int] = []

    async def __aenter__(self) -> Self:
        self._ear, ear = await self._open("ear", subscribe(("bystander", 1)), 4 + 5)
        self._mouth, mouth = await self._open("mouth", b"", 4)
        self._tasks = [
            asyncio.create_task(each)
            for each in (self._listen(self._ear, ear), self._speak(mouth), self._drain(self._mouth))
        ]
        self._writers = (ear, mouth)
        return self

    async def _open(
        self, name: str, more: bytes, answer: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(HOST, self._port)
        writer.write(arriving(name) + more)
        await reader.readexactly(answer)
        return reader, writer

    async def _speak(self, writer: asyncio.StreamWriter) -> None:
        while True:
            self._said += 1
            packet_id = self._said % 60_000 + 1
            writer.write(publish("bystander", b"%08d" % self._said, 1, packet_id=packet_id))
            await asyncio.sleep(BEAT_S)

    async def _drain(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(65_536):
            pass

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = len(publish("bystander", b"%08d" % 0, 1))
        while True:
            data = await reader.readexactly(size)
            self.heard.append(int(data[-8:]))
            writer.write(b"\x40\x02" + data[-10:-8])

    async def has_heard_all(self) -> None:
        """Fail unless all that was said has been heard, or is within the time."""
        self._tasks[1].cancel()
        await until(lambda: len(self.heard) >= self._said)
        assert self.heard == list(range(1, self._said + 1))
        assert not self._tasks[0].done()

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for writer in self._writers:
            writer.close()


async def until(condition: Any) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WAIT_S):
            while not condition():  # noqa: ASYNC110 - what is awaited has no event
                await asyncio.sleep(0.01)
    assert condition()


def holdings() -> Counter[str]:
    """Return how many tasks, descriptors and objects of connections there are."""
    gc.collect()
    kinds = {Handler, Sender, ClientSession, Connection}
    found = Counter(type(thing).__name__ for thing in gc.get_objects() if type(thing) in kinds)
    found["tasks"] = len(asyncio.all_tasks())
    found["descriptors"] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - it lists itself once
    return found


@contextlib.asynccontextmanager
async def serving(
    settings: BrokerConfig, directory: Path | None, listeners: Sequence[Listener] | None = None
) -> AsyncIterator[EmbeddedBroker]:
    """Run a broker; fail where a callback of the loop or a task raised."""
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: raised.append(what))
    broker = EmbeddedBroker(settings, FuzzGate(), store_dir=directory, listeners=listeners)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()
        gc.collect()
        # Whatever else failed: this may be why.
        assert raised == []


async def attack(port: int, data: bytes, *, reset: bool) -> None:
    """Send, then hang up: at once, or once the broker has."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        # Close by RST: thousands of sockets in TIME_WAIT would take every port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Neither waits on the broker: the kernel accepts, and has room for one packet.
        sock.connect((HOST, port))
        # The broker may be the first to hang up.
        with contextlib.suppress(OSError):
            sock.sendall(data)
            if reset:
                await asyncio.sleep(0)
                return
            sock.shutdown(socket.SHUT_WR)
            sock.setblocking(False)
            while await loop.sock_recv(sock, 65_536):
                pass


async def attack_all(
    port: int, start: bytes, packets: Iterator[tuple[int, bytes]], *, in_frames: bool
) -> None:
    for number, data in packets:
        # The length of the client id is part of the packet.
        stream = start.replace(b"fuzz-%d", b"fz%05d" % number) + data
        if in_frames:
            stream = request() + framed(stream, number)
        await attack(port, stream, reset=number % 5 == 0)


def framed(stream: bytes, number: int) -> bytes:
    """Return the stream in two frames, whose border is anywhere; one in ten has a broken frame."""
    border = number % (len(stream) + 1)
    frames = masked(Opcode.BINARY, stream[:border]), masked(Opcode.BINARY, stream[border:])
    first, second = frames if number % 10 else (frames[0], stream[border:])
    return first + masked(Opcode.PING, b"") + second


class Lines(logging.Handler):
    """Counts log records by level, and keeps none: an error's frames would hold its connection."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.counts[record.levelname] += 1


@contextlib.contextmanager
def counted_lines() -> Iterator[Counter[str]]:
    logger, handler = logging.getLogger("broker"), Lines()
    # Within the test: pytest listens to each logger that propagates nothing before it begins.
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield handler.counts
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


@pytest.mark.parametrize(("version", "stage"), STAGES)
def test_malformed_packets_leave_nothing_behind(version: int, stage: str, tmp_path: Path) -> None:
    port, websocket_port = free_port(), free_port()
    settings = BrokerConfig(connections=CONNECTIONS, connections_per_address=CONNECTIONS)
    listeners = [
        Listener(HOST, port),
        Listener(HOST, websocket_port, websocket=WebSocketPolicy()),
    ]
    in_frames = stage == "in a WebSocket"
    attacked = websocket_port if in_frames else port

    async def fuzz() -> None:
        async with (
            serving(settings, tmp_path, listeners) as broker,
            Bystander(port) as bystander,
        ):
            before = holdings()
            packets = itertools.islice(enumerate(malformed(SEED + len(stage), version)), PACKETS)
            start = STAGES[version, stage]
            await asyncio.gather(
                *(
                    attack_all(attacked, start, packets, in_frames=in_frames)
                    for _ in range(AT_A_TIME)
                )
            )
            # What earlier tests left may have been freed meanwhile.
            await until(lambda: holdings() <= before)
            # Every place is free again.
            await asyncio.gather(*(attack(port, b"", reset=False) for _ in range(CONNECTIONS - 2)))
            snapshot = figures(broker)
            assert (snapshot.clients.connected, snapshot.clients.disconnected) == (2, 0)
            assert snapshot.refused["connections"] == 0
            assert snapshot.refused["malformed"] > PACKETS / 10
            await bystander.has_heard_all()

    with counted_lines() as lines:
        asyncio.run(fuzz())
    assert set(lines) <= {"INFO", "WARNING"}
    assert lines.total() < 100 * max(1, PACKETS // 2_500)


def figures(broker: EmbeddedBroker) -> BrokerSnapshot:
    snapshot = broker.snapshot()
    assert snapshot is not None
    return snapshot


def rss_mb() -> float:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in x)
    return int(line.split()[1]) / 1024


async def flood(port: int, qos: int) -> None:
    """Publish as fast as the broker takes it, and take each acknowledgement."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(arriving("flooder"))
    await reader.readexactly(4)
    chunk = b"".join(publish("flood/topic", FLOOD_PAYLOAD, qos, packet_id=n) for n in range(1, 101))
    for _ in range(FLOOD // 100):
        writer.write(chunk)
        await writer.drain()
        if qos:
            await reader.readexactly(4 * 100)
    writer.close()
    await writer.wait_closed()


@contextlib.asynccontextmanager
async def stalled_client(port: int, qos: int) -> AsyncIterator[None]:
    """Subscribe to a flood and read nothing of it."""
    _, writer = await asyncio.open_connection(HOST, port, limit=1_024)
    writer.write(arriving("stalled") + subscribe(("flood/#", qos)))
    try:
        yield
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("qos", [0, 1])
def test_a_flood_to_a_stalled_client_costs_the_others_nothing(qos: int) -> None:
    port = free_port()

    async def stall() -> None:
        settings = BrokerConfig(listen=HOST, port=port)
        async with serving(settings, None) as broker, Bystander(port) as bystander:
            async with stalled_client(port, qos):
                await until(lambda: figures(broker).subscriptions == 2)
                before_mb = rss_mb()
                await flood(port, qos)
                # The oldest of QoS 0 go; of QoS 1 none may, so the client does.
                await until(lambda: figures(broker).clients.connected == 3 - qos)
                snapshot = figures(broker)
                assert snapshot.refused["queue"] == qos
                assert qos or snapshot.publish.dropped > FLOOD / 2
                most = settings.queued_messages * (len(FLOOD_PAYLOAD) + 20)
                assert snapshot.stored.queued_bytes <= most
                # What was sent is four times as much.
                assert rss_mb() - before_mb < FLOOD * len(FLOOD_PAYLOAD) / 4e6
            await bystander.has_heard_all()

    with counted_lines() as lines:
        asyncio.run(stall())
    assert lines.total() < 10
