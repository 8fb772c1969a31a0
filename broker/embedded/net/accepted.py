"""Accepted sockets: options, handshakes of TLS and WebSocket, and the connection that has one."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

from broker.embedded.net.connection import Connection
from broker.embedded.net.deadline import PeerDeadline
from broker.embedded.net.listener import Listener
from broker.embedded.net.round import Round
from broker.embedded.net.websocket.handshake import HandshakeError
from broker.embedded.net.websocket.websocket import WebSocket
from broker.turns import Turns
from bus.listen import wait_until_readable

# TCP keep alive: a peer without power is noticed in a minute, even without an MQTT keep alive.
_PROBE_AFTER_S = 30
_PROBE_EVERY_S = 10
_PROBES = 3
# Longer than any `broker.connect_timeout_s`.
_HANDSHAKE_S = 120.0


@contextlib.asynccontextmanager
async def accepted(  # noqa: PLR0913 - a connection and all that its handshakes need
    sock: socket.socket,
    connection: Connection,
    listener: Listener,
    loop_round: Round,
    *,
    handshakes: Turns,
    deadline_s: float,
) -> AsyncIterator[None]:
    """Give an accepted socket to `connection` after the handshakes of TLS and WebSocket.

    Those of TLS begin one after the other, with a turn of `handshakes` for each address.
    Raises HandshakeError where they fail or do not end by `deadline_s`.
    """
    if listener.tls is not None:
        await _wait_for_hello(sock, connection.address, handshakes, deadline_s)
    if listener.websocket is None:
        await _serve_socket(sock, connection, listener.tls, deadline_s)
        yield
        return
    websocket = WebSocket(connection, listener.websocket, loop_round)
    await _serve_socket(sock, websocket, listener.tls, deadline_s)
    try:
        await websocket.open(deadline_s)
        yield
    finally:
        await websocket.wait_closed()


async def _serve_socket(
    sock: socket.socket,
    protocol: asyncio.BaseProtocol,
    tls: ssl.SSLContext | None,
    deadline_s: float,
) -> None:
    try:
        await _connect_socket(sock, protocol, tls, deadline_s)
    except OSError as e:
        # asyncio's error for a connection that ends early has no text.
        reason = str(e) or "the other side closed the connection"
        # Its frames and asyncio's future hold each other, with the buffers of TLS.
        e.__traceback__ = None
        raise HandshakeError(reason, "TLS") from e


async def _connect_socket(
    sock: socket.socket,
    protocol: asyncio.BaseProtocol,
    tls: ssl.SSLContext | None,
    deadline_s: float,
) -> None:
    """Start `protocol`, after a TLS handshake if `tls` is given. Raises OSError."""
    loop = asyncio.get_running_loop()
    _set_options(sock)
    if tls is None:
        await loop.connect_accepted_socket(lambda: protocol, sock)
        return
    async with PeerDeadline(deadline_s):
        # asyncio's own limit comes after that one.
        await loop.connect_accepted_socket(
            lambda: protocol, sock, ssl=tls, ssl_handshake_timeout=_HANDSHAKE_S
        )


async def _wait_for_hello(
    sock: socket.socket, address: str, handshakes: Turns, deadline_s: float
) -> None:
    """Wait until TLS may begin; close the socket where that is given up. Raises HandshakeError."""
    try:
        async with PeerDeadline(deadline_s):
            # TLS takes some 600 KB from its first moment: not for a peer that sends nothing.
            await wait_until_readable(sock)
            # A first message takes 1 ms: hundreds in one round of the loop would delay the others.
            async with handshakes.turn(address):
                await asyncio.sleep(0)
    except TimeoutError as e:
        sock.close()
        raise HandshakeError("no TLS in time", "TLS") from e
    except BaseException:
        sock.close()
        raise


def _set_options(sock: socket.socket) -> None:
    """Send small packets at once, and probe a silent peer."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Linux has these three.
    for name, value in (
        ("TCP_KEEPIDLE", _PROBE_AFTER_S),
        ("TCP_KEEPINTVL", _PROBE_EVERY_S),
        ("TCP_KEEPCNT", _PROBES),
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
