"""Several listeners, one with TLS: what the gate is given, and the time limit for a peer."""

import asyncio
import datetime as dt
import gc
import socket
import ssl
import time
from asyncio.sslproto import SSLProtocol
from pathlib import Path

import pytest

from broker.auth import certificates, server_tls
from broker.embedded.net.listener import Listener
from broker.embedded.net.loopback import is_loopback
from broker.server import EmbeddedBroker
from bus.config.broker_table import BrokerConfig
from tests.broker.embedded.gates import Passwords
from tests.broker.embedded.raw import connect
from tests.support import HOST, WAIT_S, free_port

HELLO = connect("c", username="u", password=b"right")
CONNECTED = b"\x20\x02\0\0"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext, ssl.SSLContext]:
    """Return the folder of the certificates, a server's context and a client's."""
    folder = tmp_path_factory.mktemp("tls")
    certificates.init(folder, [HOST], dt.datetime.now(dt.UTC))
    found = server_tls.load(folder, "optional")
    assert found is not None
    pair = certificates.make_client(
        certificates.authority(folder), "node1", dt.datetime.now(dt.UTC)
    )
    (folder / "client.pem").write_bytes(pair.certificate + pair.key)
    client = ssl.create_default_context(cafile=folder / server_tls.CA_NAME)
    client.load_cert_chain(folder / "client.pem")
    return folder, found.context, client


def test_each_listener_tells_where_a_client_comes_from(
    tls: tuple[Path, ssl.SSLContext, ssl.SSLContext],
) -> None:
    _, server, client = tls
    gate = Passwords()
    plain, secure = Listener(HOST, free_port()), Listener(HOST, free_port(), server)

    async def visit() -> None:
        broker = EmbeddedBroker(BrokerConfig(), gate, listeners=[plain, secure])
        await broker.start()
        for listener, context in ((plain, None), (secure, client)):
            reader, writer = await asyncio.open_connection(HOST, listener.port, ssl=context)
            writer.write(HELLO)
            assert await reader.readexactly(4) == CONNECTED
            writer.close()
            await writer.wait_closed()
        await broker.stop()

    asyncio.run(visit())
    assert [a.is_local for a in gate.attempts] == [True, False]
    assert [a.certificate_name for a in gate.attempts] == [None, "node1"]


def test_a_handshake_that_does_not_come_or_is_none_costs_nobody_else(
    tls: tuple[Path, ssl.SSLContext, ssl.SSLContext],
) -> None:
    _, server, client = tls
    secure = Listener(HOST, free_port(), server)

    async def visit() -> None:
        settings = BrokerConfig(connections=5)
        broker = EmbeddedBroker(settings, Passwords(), listeners=[secure])
        await broker.start()
        idle = [socket.create_connection((HOST, secure.port)) for _ in range(4)]
        idle[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
        reader, writer = await asyncio.open_connection(HOST, secure.port, ssl=client)
        writer.write(HELLO)
        assert await reader.readexactly(4) == CONNECTED
        loop, ahead_s = asyncio.get_running_loop(), settings.connect_timeout_s
        loop.time = lambda: time.monotonic() + ahead_s  # type: ignore[method-assign]
        for sock in idle:
            sock.settimeout(WAIT_S)
            assert await asyncio.to_thread(_is_closed, sock)
            sock.close()
        snapshot = broker.snapshot()
        assert snapshot is not None
        assert snapshot.refused["malformed"] == 4
        writer.close()
        await broker.stop()

    asyncio.run(visit())


def test_a_failed_handshake_leaves_nothing_in_memory(
    tls: tuple[Path, ssl.SSLContext, ssl.SSLContext],
) -> None:
    _, server, _ = tls
    secure = Listener(HOST, free_port(), server)

    async def visit() -> None:
        broker = EmbeddedBroker(BrokerConfig(), Passwords(), listeners=[secure])
        await broker.start()
        for _ in range(5):
            with socket.create_connection((HOST, secure.port)) as sock:
                sock.settimeout(WAIT_S)
                sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert await asyncio.to_thread(_is_closed, sock)
        await broker.stop()

    # Only what the garbage collector would have to find is left.
    gc.collect()
    gc.disable()
    try:
        asyncio.run(visit())
        left = [each for each in gc.get_objects() if isinstance(each, SSLProtocol)]
    finally:
        gc.enable()
    assert left == []


def _is_closed(sock: socket.socket) -> bool:
    try:
        while sock.recv(1_000):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.168.1.2", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("no address", False),
    ],
)
def test_loopback_addresses_are_this_machine(address: str, *, local: bool) -> None:
    assert is_loopback(address) is local
