"""Limits for one client: packets, queues, connections, log lines."""

import asyncio
import resource
import socket
import threading
from pathlib import Path

import pytest

from broker.embedded.counters import Counters
from broker.embedded.net.acceptor import bind
from broker.embedded.net.connection import Connection
from broker.embedded.net.listener import Listener
from broker.embedded.net.round import Round
from broker.embedded.packets.writer3 import PINGRESP
from bus.files.file_limit import room_for
from tests.broker.embedded.gates import OwnTopics
from tests.broker.embedded.raw import PINGREQ, PUBACK, RawClient, packet, publish, subscribe, uint16
from tests.broker.embedded.running import Running, running
from tests.broker.embedded.switch import STOCK, ours_only
from tests.support import HOST


def test_a_packet_that_is_too_large_is_refused_by_its_header() -> None:
    with running(packet_kb=4) as broker:
        client = broker.client("c")
        client.send(b"\x30\xff\xff\xff\x7f")
        assert client.is_closed()
        fits = broker.client("fits")
        fits.publish("t", b"x" * 4_000)
        fits.send(publish("t", b"x" * 5_000, 1))
        assert fits.is_closed()


BAD_AFTER_CONNECT = {
    "SUBSCRIBE at QoS 3": subscribe(("t", 3)),
    "SUBSCRIBE at QoS 255": subscribe(("t", 255)),
    "SUBSCRIBE with its flags wrong": packet(0x80, subscribe(("t", 1))[2:]),
    "SUBSCRIBE to nothing": packet(0x82, uint16(1)),
    "SUBSCRIBE that ends early": packet(0x82, uint16(1) + b"\0\5ab"),
    "UNSUBSCRIBE from nothing": packet(0xA2, uint16(1)),
    "PUBLISH at QoS 3": packet(0x36, b"\0\1t\0\1x"),
    "PUBLISH with packet id 0": publish("t", b"", 1, packet_id=0),
    "PUBLISH with NUL": publish("a\0b"),
    "PUBLISH that is no UTF-8": publish(b"a\xff"),
    "DUP at QoS 0": packet(0x38, b"\0\1t"),
    "PUBACK of three bytes": packet(PUBACK << 4, b"\0\1\0"),
    "PUBREL with its flags wrong": packet(0x60, uint16(1)),
    "PINGREQ with a body": packet(0xC0, b"x"),
    "what only a broker sends": packet(0x90, uint16(1) + b"\0"),
    "reserved type 0": packet(0x00),
    "reserved type 15": packet(0xF0),
}


@pytest.mark.parametrize("what", BAD_AFTER_CONNECT)
def test_a_malformed_packet_ends_its_connection_with_its_will(what: str) -> None:
    with running() as broker:
        ears = broker.client("ears")
        ears.subscribe(("will", 1))
        client = broker.client("c", will=("will", b"gone", 1, False))
        client.send(BAD_AFTER_CONNECT[what])
        assert client.is_closed()
        assert ears.receive().payload == b"gone"
        assert broker.sessions() == 1


def _stall(broker: Running, count: int, qos: int) -> RawClient:
    """Publish to a subscriber that reads nothing; return it."""
    stalled = broker.raw()
    stalled.connect("stalled")
    stalled.subscribe(("t", 1))
    pub = broker.client("pub")
    for n in range(0, count, 100):
        burst = range(n, n + 100)
        pub.send(b"".join(publish("t", b"x" * 200, qos, packet_id=i + 1) for i in burst))
        for _ in range(100 * qos):
            pub.expect(PUBACK)
    pub.ping()
    return stalled


def test_a_subscriber_that_takes_nothing_while_its_queue_is_full_is_closed() -> None:
    with running(queued_messages=100, stalled_s=0.2) as broker:
        stalled = _stall(broker, 300, 1)
        assert stalled.is_closed()
        assert broker.sessions() == 1


def test_of_qos_0_the_oldest_go_first_and_the_client_stays() -> None:
    with running(queued_messages=100) as broker:
        stalled = _stall(broker, 30_000, 0)
        first = stalled.receive()
        rest = stalled.take_rest()
        assert 100 < len(rest) + 1 < 30_000
        assert first.payload == rest[-1].payload
        stalled.ping()


def test_a_stalled_subscriber_and_bad_clients_write_few_log_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running(queued_messages=100, stalled_s=0.1, log_lines_per_minute=3) as broker:
        for _ in range(8):
            _stall(broker, 300, 1)
        for n in range(100):
            client = broker.client(f"c{n}")
            client.send(b"\xf0\0")
            client.sock.close()
        broker.wait_until(lambda: broker.sessions() <= 2)
    assert 0 < len(caplog.records) <= 20


def test_a_client_that_asks_and_never_reads_is_not_read_from_any_more() -> None:
    answered = asyncio.run(_answer_who_never_reads())
    # The kernel's and the broker's buffers were full, and no more was asked for.
    assert answered * len(PINGRESP) < 1_000_000


async def _answer_who_never_reads() -> int:
    """Return how many PINGs were answered before the answers were not taken any more."""
    loop = asyncio.get_running_loop()
    counters = Counters()
    with bind(Listener(HOST, 0)) as listening, socket.socket() as asker:
        asker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        asker.setblocking(False)
        await loop.sock_connect(asker, listening.getsockname())
        sock, _ = await loop.sock_accept(listening)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        connection = Connection(
            address=HOST, max_packet_bytes=100, counters=counters, loop_round=Round()
        )
        await loop.connect_accepted_socket(lambda: connection, sock)
        asking = loop.create_task(loop.sock_sendall(asker, PINGREQ * 2_000_000))
        answering = loop.create_task(connection.serve(lambda _packet: connection.send(PINGRESP)))
        before = -1
        while counters.messages_sent > before:
            before = counters.messages_sent
            await asyncio.sleep(0.2)
        for task in (asking, answering):
            task.cancel()
        await asyncio.wait((asking, answering))
        connection.abort()
        await asyncio.sleep(0)
    return counters.messages_sent


@ours_only
def test_without_a_free_descriptor_there_are_few_log_lines_and_service_returns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with running(log_lines_per_minute=3) as broker:
        sockets = [broker.raw() for _ in range(5)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (sockets[-1].sock.fileno() + 6, hard))
        try:
            for _ in range(4):
                try:
                    sockets.append(broker.raw())
                except OSError:
                    break
            threading.Event().wait(0.5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for client in sockets:
            client.sock.close()
        broker.client("after").ping()
    assert len(caplog.records) <= 4


def test_there_is_room_for_the_hub_beside_the_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
        assert room_for(500) == 500
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 756
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
        if hard != resource.RLIM_INFINITY:
            assert room_for(hard) == hard - 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@ours_only
def test_who_subscribes_again_and_again_and_acknowledges_nothing_is_closed() -> None:
    with running(in_flight=1) as broker:
        broker.client("pub").publish("t", b"x", retain=True)
        client = broker.client("c")
        client.send(subscribe(("t", 1)) * 1_200)
        assert client.is_closed()


def test_the_switch_runs_what_it_says() -> None:
    """On amqtt as it is shipped, an empty topic leaves a client that is answered and not served."""
    with running(stock=True) as broker:
        client = broker.client("zombie")
        client.send(publish("", b"x"))
        client.ping()
        client.publish("t", b"acknowledged and lost")
        assert not client.is_closed(0.3)
    if not STOCK:
        with running() as broker:
            client = broker.client("zombie")
            client.send(publish("", b"x"))
            assert client.is_closed()


@ours_only
def test_retained_messages_count_for_their_user_after_a_restart_too(tmp_path: Path) -> None:
    kept = []
    for number in range(4):
        with (
            running(OwnTopics(), store_dir=tmp_path, retained_messages_per_user=2) as broker,
            broker.client("plug") as plug,
        ):
            plug.publish(f"plug/{number}", b"x", retain=True)
            plug.subscribe(("plug/#", 1))
            kept.append(len(plug.take_rest(1)))
    assert kept == [1, 2, 2, 2]
