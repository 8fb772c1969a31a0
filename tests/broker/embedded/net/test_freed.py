"""Memory of ended connections: freed at once, without a collection of cycles.

The hub collects rarely, and a connection of TLS has 256 KB of buffers.
"""

import asyncio
import contextlib
import datetime as dt
import gc
import os
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.auth import certificates, server_tls
from broker.embedded.incoming.handler import Handler
from broker.embedded.net.connection import Connection
from broker.embedded.net.listener import Listener
from broker.embedded.net.websocket.handshake import WebSocketPolicy
from broker.embedded.net.websocket.websocket import WebSocket
from broker.embedded.outgoing.sender import Sender
from broker.embedded.session import ClientSession
from broker.server import EmbeddedBroker
from bus.config.broker_table import BrokerConfig
from tests.broker.embedded.net.websocket.test_frames import masked
from tests.broker.embedded.net.websocket.test_handshake import request
from tests.broker.embedded.raw import DISCONNECT, connect
from tests.broker.embedded.switch import ours_only
from tests.support import HOST, WAIT_S, OpenGate, free_port

pytestmark = ours_only

FREED = (SSLProtocol, Connection, WebSocket, Handler, Sender, ClientSession, asyncio.Task)


class Client:
    """One connection of a kind, after its handshakes."""

    def __init__(self, kind: str, port: int) -> None:
        self.sock = socket.create_connection((HOST, port))
        self.sock.settimeout(WAIT_S)
        self.raw = socket.socket(fileno=os.dup(self.sock.fileno()))
        self._has_frames = kind.startswith("WebSocket")
        try:
            self._open(kind)
        except BaseException:
            self.close()
            raise

    def _open(self, kind: str) -> None:
        if kind.endswith("TLS"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
        if self._has_frames:
            self.sock.sendall(request())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += self._receive(1)

    def send(self, data: bytes) -> None:
        self.sock.sendall(masked(2, data) if self._has_frames else data)

    def log_in(self) -> None:
        self.send(connect("c", will=("will", b"gone", 1, False)))
        self._receive(100)

    def _receive(self, most: int) -> bytes:
        found = self.sock.recv(most)
        if not found:
            # A machine that is slow: the broker has ended it in its handshake.
            raise ConnectionError("closed by the broker")
        return found

    def wait_closed(self) -> None:
        with contextlib.suppress(OSError):
            while self.sock.recv(65_536):
                pass

    def close(self) -> None:
        self.sock.close()
        self.raw.close()


def log_in_and_go(client: Client) -> None:
    client.log_in()


def disconnect(client: Client) -> None:
    client.log_in()
    client.send(DISCONNECT)
    client.wait_closed()


def violate(client: Client) -> None:
    client.log_in()
    client.send(connect("c"))
    client.wait_closed()


def be_refused(client: Client) -> None:
    client.send(connect("", clean=False))
    client.wait_closed()


def send_garbage(client: Client) -> None:
    client.sock.sendall(b"\xff" * 300)
    client.wait_closed()


def break_the_stream(client: Client) -> None:
    """Send what is no record of TLS, no frame and no packet."""
    client.log_in()
    client.raw.sendall(b"\x17\x03\x03\x00\x40" + b"z" * 64)
    client.wait_closed()


def send_half_a_connect(client: Client) -> None:
    client.send(connect("c")[:5])


def send_nothing(client: Client) -> None:
    client.wait_closed()


ENDINGS = (
    log_in_and_go,
    disconnect,
    violate,
    be_refused,
    send_garbage,
    break_the_stream,
    send_half_a_connect,
    send_nothing,
)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder: Path = tmp_path_factory.mktemp("tls")
    certificates.init(folder, [HOST], dt.datetime.now(dt.UTC))
    found = server_tls.load(folder, "none")
    assert found is not None
    return found.context


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def holdings() -> Counter[str]:
    return Counter(type(thing).__name__ for thing in gc.get_objects() if type(thing) in FREED)


async def freed(before: Counter[str]) -> None:
    """Wait until there is no more than before, and fail where something is left."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WAIT_S):
            while holdings() > before:  # noqa: ASYNC110 - what is awaited has no event
                await asyncio.sleep(0.05)
    assert holdings() <= before


async def visit(tls: ssl.SSLContext, act: Callable[[Listener, str], None]) -> None:
    """Let a client of each kind act, and wait until what it took is free again."""
    listeners = {
        "TCP": Listener(HOST, free_port()),
        "TLS": Listener(HOST, free_port(), tls),
        "WebSocket": Listener(HOST, free_port(), websocket=WebSocketPolicy()),
        "WebSocket with TLS": Listener(HOST, free_port(), tls, websocket=WebSocketPolicy()),
    }
    settings = BrokerConfig(connect_timeout_s=1.0)
    broker = EmbeddedBroker(settings, OpenGate(), listeners=list(listeners.values()))
    await broker.start()
    try:
        for kind, listener in listeners.items():
            before = holdings()
            await asyncio.to_thread(act, listener, kind)
            await freed(before)
    finally:
        await broker.stop()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_connection_is_freed_however_it_ends(
    tls: ssl.SSLContext, ending: Callable[[Client], None]
) -> None:
    def act(listener: Listener, kind: str) -> None:
        with (
            contextlib.suppress(OSError),
            contextlib.closing(Client(kind, listener.port)) as client,
        ):
            ending(client)

    asyncio.run(visit(tls, act))


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_connection_that_ends_in_its_handshake_is_freed(
    tls: ssl.SSLContext, hello: bytes
) -> None:
    def act(listener: Listener, _kind: str) -> None:
        with socket.create_connection((HOST, listener.port)) as sock:
            sock.settimeout(WAIT_S)
            sock.sendall(hello)
            with contextlib.suppress(OSError):
                sock.recv(1_000)

    asyncio.run(visit(tls, act))
