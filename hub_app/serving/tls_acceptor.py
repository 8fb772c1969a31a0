"""Acceptor of the HTTPS port: TLS and plain HTTP on one port, told apart by their first byte.

A connection has its place from its acceptance on, and one time limit until it is served. TLS takes
some 320 KB from its first moment: it begins when the peer has sent something.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable

from bus.limited_log import LimitedLog
from bus.listen import accept, wait_until_readable
from hub_app.serving.protocol import REQUEST_S, BoundedProtocol

logger = logging.getLogger(__name__)

# Content type of a handshake record (RFC 8446 section 5.1); no HTTP method begins with it.
_HANDSHAKE = b"\x16"
# No free file descriptor: wait until there is one.
_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_RETRY_S = 0.2
_BACKLOG = 1_024
# For connections in their handshake to end when the server stops.
_CLOSE_S = 1.0


class TlsAcceptor:
    """Accepts connections on one socket and owns them until they are served.

    It begins when it is made. `make_protocol` makes the protocol of a connection.
    """

    def __init__(
        self,
        bound: socket.socket,
        context: ssl.SSLContext,
        make_protocol: Callable[[], BoundedProtocol],
        limited_log: LimitedLog,
    ) -> None:
        bound.setblocking(False)
        bound.listen(_BACKLOG)
        self._bound = bound
        self._context = context
        self._make_protocol = make_protocol
        self._log = limited_log
        self._starting: dict[asyncio.Task[None], BoundedProtocol] = {}
        self._loop = asyncio.get_running_loop()
        self._accepting = self._loop.create_task(self._accept_all())

    async def close(self) -> None:
        """Stop accepting, and end the connections that are not served yet."""
        self._accepting.cancel()
        await asyncio.wait([self._accepting])
        for protocol in self._starting.values():
            protocol.abort()
        if self._starting:
            await asyncio.wait(list(self._starting), timeout=_CLOSE_S)

    async def _accept_all(self) -> None:
        while True:
            try:
                sock, address = await accept(self._bound)
            except OSError as e:
                # The peer may be gone again already.
                if e.errno in _NO_DESCRIPTOR:
                    self._log.warning("no descriptor", "cannot accept a connection: %s", e)
                    await asyncio.sleep(_RETRY_S)
                continue
            self._accepted(sock, address)
            # `accept` does not wait while there is one: those that lost their places end now.
            await asyncio.sleep(0)

    def _accepted(self, sock: socket.socket, address: str) -> None:
        protocol = self._make_protocol()
        if not protocol.accept(sock, address):
            sock.close()
            return
        task = self._loop.create_task(self._start(sock, protocol, address))
        self._starting[task] = protocol
        task.add_done_callback(self._started)

    def _started(self, task: asyncio.Task[None]) -> None:
        protocol = self._starting.pop(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            protocol.abandon()
            logger.error("a connection failed before its first request", exc_info=error)

    async def _start(self, sock: socket.socket, protocol: BoundedProtocol, address: str) -> None:
        try:
            first = await _first_byte(sock)
        except OSError:
            first = b""
        if not first:
            sock.close()
            protocol.abandon()
            return
        context = self._context if first == _HANDSHAKE else None
        limit_s = REQUEST_S if context else None
        try:
            await self._loop.connect_accepted_socket(
                lambda: protocol,
                sock,
                ssl=context,
                ssl_handshake_timeout=limit_s,
                ssl_shutdown_timeout=limit_s,
            )
        except OSError as e:
            protocol.abandon()
            # Its frames and asyncio's future hold each other, with the buffers of TLS.
            e.__traceback__ = None
            # Otherwise the peer left, or it took too long.
            if isinstance(e, ssl.SSLError):
                self._log.warning("handshake", "TLS handshake with %s failed: %s", address, e)


async def _first_byte(sock: socket.socket) -> bytes:
    """Return the first byte that the peer sends, without taking it; none where it left."""
    await wait_until_readable(sock)
    return sock.recv(1, socket.MSG_PEEK)
