"""HTTP/1.1 protocol of one connection: uvicorn's, with places and time limits.

A whole request must arrive within `REQUEST_S` of the connection's start or of the response before,
and what is sent must be read: nobody holds a place by doing nothing, or a little at a time.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import is_ssl
from uvicorn.server import ServerState

from bus.limited_log import LimitedLog
from bus.peer_address import network_of
from hub_app.http.guard import SECURITY_HEADERS
from hub_app.serving.client_limit import HEALTH_ONLY
from hub_app.serving.places import Admission, Places
from hub_app.serving.tls_transport import TlsTransport

# Time for the headers and the body of a request.
REQUEST_S = 8.0
# Time for a client to read what fills its buffers.
UNREAD_S = 30.0

_INCOMPLETE = (h11.IDLE, h11.SEND_BODY)


class BoundedProtocol(H11Protocol):
    """One connection, in a place of `places` that all connections share."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        places: "Places[BoundedProtocol]",
        limited_log: LimitedLog,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._places = places
        self._limited_log = limited_log
        self._request_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        # Until there is a transport: the socket, where it was accepted for a TLS handshake.
        self._accepted: socket.socket | None = None
        self._has_place = False

    def accept(self, sock: socket.socket, address: str) -> bool:
        """Take a place before a TLS handshake, for which there is as much time as for a request.

        Return whether there is one. Then `connection_made` follows, or `abandon` must.
        """
        self._accepted = sock
        if self._take_place(network_of(address)):
            self._request_timer = self._call_later(REQUEST_S, self.abort)
        return self._has_place

    def abandon(self) -> None:
        """Give up the place of a connection whose handshake failed."""
        self._stop_request_timer()
        self._places.release(self)

    def abort(self) -> None:
        """Close the connection at once and discard what the client has not read."""
        if self._accepted is None:
            self.transport.abort()
            return
        # Whoever waits for the peer's bytes finds the end of them.
        with contextlib.suppress(OSError):
            self._accepted.shutdown(socket.SHUT_RDWR)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._accepted = None
        if is_ssl(transport):
            bounded = TlsTransport(transport, self.loop, UNREAD_S)
            transport = cast("asyncio.Transport", bounded)
        super().connection_made(transport)
        if self._has_place or self._take_place(self._network):
            self._wait_for_request()
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._places.release(self)
        for timer in (self._request_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # TLS brings what had come before it was closed.
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._note_progress()

    def on_response_complete(self) -> None:
        self._wait_for_request()
        super().on_response_complete()
        # A pipelined request may be there already.
        if not self.transport.is_closing():
            self._note_progress()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_timer = self._call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are not HTTP, and end the connection."""
        self._limited_log.warning(
            "malformed requests", "%s: found a request that is not HTTP/1.1", self._network
        )
        if self.cycle is not None and not self.cycle.response_complete:
            # The handler's response would follow the one that is sent here.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(self._bad_request(msg))
        self.transport.close()

    @property
    def _network(self) -> str:
        return network_of(self.client[0] if self.client else "")

    def _take_place(self, network: str) -> bool:
        admitted = self._places.admit(self, network)
        if admitted.dropped is not None:
            admitted.dropped.abort()
        if admitted.admission is Admission.HEALTH_ONLY:
            self.app_state = {**self.app_state, HEALTH_ONLY: True}
        self._has_place = admitted.admission is not Admission.REFUSED
        return self._has_place

    def _bad_request(self, msg: str) -> bytes:
        headers = {
            **SECURITY_HEADERS,
            "Cache-Control": "no-store",
            "Content-Type": "text/plain; charset=utf-8",
            "Connection": "close",
        }
        response = h11.Response(
            status_code=400, headers=list(headers.items()), reason=b"Bad Request"
        )
        parts = (response, h11.Data(data=msg.encode("ascii")), h11.EndOfMessage())
        return b"".join(self.conn.send(part) or b"" for part in parts)

    def _wait_for_request(self) -> None:
        self._places.set_waiting(self)
        self._stop_request_timer()
        self._request_timer = self._call_later(REQUEST_S, self._on_request_timeout)

    def _note_progress(self) -> None:
        """Let a connection whose whole request is there keep its place."""
        if self.conn.their_state not in _INCOMPLETE and not self.transport.is_closing():
            self._stop_request_timer()
            self._places.set_busy(self)

    def _stop_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _on_request_timeout(self) -> None:
        # Bytes that the client does not read would keep a closed connection open.
        if self.transport.is_closing() or self.transport.get_write_buffer_size() > 0:
            self.transport.abort()
        else:
            self.transport.close()

    def _call_later(self, delay_s: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        return self.loop.call_later(delay_s, callback)
