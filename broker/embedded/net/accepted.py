"""Accepted sockets: options, TLS handshake, and the protocol that serves one."""

import asyncio
import socket
import ssl

# TCP keep alive: a peer without power is noticed in a minute, even without an MQTT keep alive.
_PROBE_AFTER_S = 30
_PROBE_EVERY_S = 10
_PROBES = 3


async def serve_socket(
    sock: socket.socket,
    protocol: asyncio.BaseProtocol,
    tls: ssl.SSLContext | None,
    handshake_s: float,
) -> None:
    """Give an accepted socket to `protocol`, after a TLS handshake if `tls` is given.

    Raises OSError, which includes ssl.SSLError and ConnectionError.
    """
    _set_options(sock)
    async with asyncio.timeout(handshake_s if tls else None):
        if tls is not None:
            # TLS takes some 600 KB from its first moment: not for a peer that sends nothing.
            await _readable(sock)
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: protocol,
            sock,
            ssl=tls,
            ssl_handshake_timeout=handshake_s if tls else None,
        )


async def _readable(sock: socket.socket) -> None:
    """Wait until the peer has sent something or closed; close the socket where that is given up."""
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    loop.add_reader(sock.fileno(), is_readable.set)
    try:
        await is_readable.wait()
    except BaseException:
        loop.remove_reader(sock.fileno())
        sock.close()
        raise
    loop.remove_reader(sock.fileno())


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
