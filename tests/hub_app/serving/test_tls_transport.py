"""Transport of a TLS connection: closed twice, and paused while its peer is gone."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from pathlib import Path

import pytest

from broker.auth import certificates, server_tls
from broker.auth.server_tls import CA_NAME
from hub_app.serving.tls_transport import TlsTransport
from tests.support import HOST, WAIT_S


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tls")
    certificates.init(made, [HOST], dt.datetime.now(dt.UTC))
    return made


class Peer(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self, paused_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._paused_s = paused_s
        self.made: asyncio.Future[TlsTransport] = loop.create_future()
        self.is_lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        loop = asyncio.get_running_loop()
        self.made.set_result(TlsTransport(transport, loop, self._paused_s))

    def connection_lost(self, _exc: Exception | None) -> None:
        self.is_lost.set()


async def connected(directory: Path, paused_s: float) -> tuple[Peer, asyncio.StreamWriter]:
    tls = server_tls.load(directory, "none")
    assert tls is not None
    peer = Peer(paused_s)
    loop = asyncio.get_running_loop()
    with socket.create_server((HOST, 0)) as listener:
        listener.setblocking(False)
        trust = ssl.create_default_context(cafile=str(directory / CA_NAME))
        port = listener.getsockname()[1]
        connecting = asyncio.create_task(asyncio.open_connection(HOST, port, ssl=trust))
        sock, _ = await loop.sock_accept(listener)
    await loop.connect_accepted_socket(
        lambda: peer, sock, ssl=tls.context, ssl_shutdown_timeout=10 * WAIT_S
    )
    return peer, (await connecting)[1]


async def gone(peer: Peer, writer: asyncio.StreamWriter) -> None:
    """Wait until the server's side is gone, and end the client's."""
    async with asyncio.timeout(WAIT_S):
        await peer.is_lost.wait()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def lost_after_closing_twice(directory: Path) -> None:
    peer, writer = await connected(directory, WAIT_S)
    # The client does not confirm the end while it reads nothing.
    writer.transport.pause_reading()
    transport = await peer.made
    transport.write(b"x" * 100_000)
    transport.close()
    transport.close()
    assert transport.is_closing()
    transport.abort()
    await gone(peer, writer)


async def lost_while_reading_is_paused(directory: Path) -> None:
    peer, writer = await connected(directory, 0.1)
    transport = await peer.made
    transport.pause_reading()
    transport.pause_reading()
    await gone(peer, writer)


async def stays_where_reading_is_resumed(directory: Path) -> None:
    peer, writer = await connected(directory, 0.1)
    transport = await peer.made
    transport.pause_reading()
    transport.resume_reading()
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, later.set)
    await later.wait()
    assert not peer.is_lost.is_set()
    transport.abort()
    await gone(peer, writer)


def test_a_connection_that_was_closed_twice_can_be_aborted(directory: Path) -> None:
    asyncio.run(lost_after_closing_twice(directory))


def test_a_connection_whose_reading_stays_paused_is_aborted(directory: Path) -> None:
    asyncio.run(lost_while_reading_is_paused(directory))


def test_a_connection_whose_reading_goes_on_stays(directory: Path) -> None:
    asyncio.run(stays_where_reading_is_resumed(directory))
