"""Acceptor of the HTTPS port: places and time of connections before they are served."""

import asyncio
import contextlib
import datetime as dt
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from uvicorn.server import ServerState

from broker.auth import certificates, server_tls
from broker.auth.server_tls import CA_NAME
from bus.limited_log import LimitedLog
from hub_app.serving import protocol
from hub_app.serving.places import Places
from hub_app.serving.protocol import BoundedProtocol
from hub_app.serving.tls_acceptor import TlsAcceptor
from tests.support import HOST, WAIT_S

HANDSHAKE = b"\x16\x03\x01\x02\x00\x01"
PLACES = 3


class Watched(BoundedProtocol):
    """A connection whose end a test can wait for."""

    has_lost_one = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.has_lost_one.set()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tls")
    certificates.init(made, [HOST], dt.datetime.now(dt.UTC))
    return made


@contextlib.asynccontextmanager
async def accepting(directory: Path) -> AsyncIterator[tuple[int, TlsAcceptor]]:
    """Accept connections on a free port, with few places, and answer each request."""
    tls = server_tls.load(directory, "none")
    assert tls is not None
    config = uvicorn.Config(PlainTextResponse("yes"), lifespan="off", log_config=None)
    places: Places[BoundedProtocol] = Places(total=PLACES, for_health=0)
    log = LimitedLog(logging.getLogger(__name__))
    state = ServerState()
    Watched.has_lost_one = asyncio.Event()
    make = partial(Watched, config, state, {}, places=places, limited_log=log)
    with socket.create_server((HOST, 0)) as bound:
        acceptor = TlsAcceptor(bound, tls.context, make, log)
        try:
            yield bound.getsockname()[1], acceptor
        finally:
            await acceptor.close()
            for connection in list(state.connections):
                connection.transport.abort()
            async with asyncio.timeout(WAIT_S):
                while state.connections:
                    Watched.has_lost_one.clear()
                    await Watched.has_lost_one.wait()


@contextlib.contextmanager
def silent(port: int, sent: Iterable[bytes]) -> Iterator[list[socket.socket]]:
    """Open connections that never become ones of TLS, and send these bytes on them."""
    with contextlib.ExitStack() as stack:
        opened = []
        for data in sent:
            sock = stack.enter_context(socket.create_connection((HOST, port), WAIT_S))
            sock.sendall(data)
            sock.setblocking(False)
            opened.append(sock)
        yield opened


async def answer(directory: Path, port: int, *, tls: bool = True) -> bytes:
    trust = ssl.create_default_context(cafile=str(directory / CA_NAME)) if tls else None
    reader, writer = await asyncio.open_connection(HOST, port, ssl=trust)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    received = await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return received


async def ended(sockets: Iterable[socket.socket]) -> bool:
    """Wait until the acceptor has ended these connections, without a word."""
    async with asyncio.timeout(WAIT_S):
        for sock in sockets:
            with contextlib.suppress(ConnectionError):
                assert await asyncio.get_running_loop().sock_recv(sock, 1) == b""
    return True


def test_tls_and_plain_http_are_served_on_one_port(directory: Path) -> None:
    async def run() -> None:
        async with accepting(directory) as (port, _):
            for tls in (True, False):
                assert (await answer(directory, port, tls=tls)).endswith(b"\r\n\r\nyes")

    asyncio.run(run())


def test_a_newcomer_takes_the_place_of_the_handshake_that_waits_longest(directory: Path) -> None:
    async def run() -> None:
        async with accepting(directory) as (port, _):
            with silent(port, [b"", HANDSHAKE, b""]) as waiting:
                assert (await answer(directory, port)).endswith(b"yes")
                assert await ended(waiting[:1])
                with silent(port, [b""] * PLACES):
                    assert await ended(waiting[1:])

    asyncio.run(run())


def test_a_handshake_that_does_not_end_is_ended(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_S", 0.2)

    async def run() -> None:
        async with accepting(directory) as (port, _):
            with silent(port, [b"", HANDSHAKE]) as waiting:
                assert await ended(waiting)

    asyncio.run(run())


def test_closing_ends_the_connections_that_are_not_served_yet(directory: Path) -> None:
    async def run() -> None:
        async with accepting(directory) as (port, acceptor):
            with silent(port, [b"", HANDSHAKE]) as waiting:
                # Connections are accepted in order, so those have been.
                assert (await answer(directory, port)).endswith(b"yes")
                await acceptor.close()
                assert await ended(waiting)

    asyncio.run(run())
