"""WebSocket handshake (RFC 6455 section 4): the client's request, and the answer to it."""

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from bus.errors import BadDataError
from bus.peer_address import TrustedProxies

# Bytes of the request line and all headers.
MAX_REQUEST_BYTES = 8 * 1024
END_OF_REQUEST = b"\r\n\r\n"
# MQTT-6.0.0-3; clients of 3.1 name the other one.
_SUBPROTOCOLS = (Subprotocol("mqtt"), Subprotocol("mqttv3.1"))
_ANY_ORIGIN = "*"


class WebSocketPolicy(msgspec.Struct, frozen=True):
    """Web pages that may connect, and proxies whose X-Forwarded-For header is believed.

    A page may connect if its origin is in `origins`, or if it was loaded from the host to which it
    connects; `*` allows every page. A program sends no Origin header, or one with that host.
    """

    origins: Sequence[str] = ()
    proxies: TrustedProxies = TrustedProxies(())

    def allows(self, origin: str, host: str) -> bool:
        if _ANY_ORIGIN in self.origins or origin in self.origins:
            return True
        own = _host_name(f"//{host}")
        return own is not None and _host_name(origin) == own


class HandshakeError(BadDataError):
    """A handshake that failed, of WebSocket for MQTT or of TLS, as `what` says."""

    def __init__(self, text: str, what: str = "WebSocket") -> None:
        super().__init__(text)
        self.what = what


class Answer(msgspec.Struct, frozen=True):
    """The response, and the client's address. With an `error` the connection ends after it."""

    response: bytes
    address: str
    error: str = ""


def answer(request: bytes, peer: str, policy: WebSocketPolicy) -> Answer:
    """Return the answer to a whole request of the peer at the address `peer`.

    Raises HandshakeError where it is no HTTP request.
    """
    protocol = ServerProtocol(subprotocols=_SUBPROTOCOLS)
    protocol.receive_data(request)
    events = protocol.events_received()
    if not events or not isinstance(events[0], Request):
        _forget_frames(protocol.handshake_exc)
        raise HandshakeError(f"no HTTP request: {protocol.handshake_exc}")
    headers = events[0].headers
    if _is_foreign(headers, policy):
        protocol.send_response(
            protocol.reject(
                HTTPStatus.FORBIDDEN, "broker.websocket_origins does not name the page's origin.\n"
            )
        )
        origins = headers.get_all("Origin")
        error = f"the page's origin {origins} is not in broker.websocket_origins"
    else:
        protocol.send_response(protocol.accept(events[0]))
        error = str(protocol.handshake_exc or "")
    _forget_frames(protocol.handshake_exc)
    address = policy.proxies.client_of(peer, headers.get_all("X-Forwarded-For"))
    return Answer(b"".join(protocol.data_to_send()), address, error)


def _forget_frames(error: BaseException | None) -> None:
    """Remove the tracebacks of an error that its frames hold: they hold the connection, too."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _is_foreign(headers: Headers, policy: WebSocketPolicy) -> bool:
    """Whether the request is from a web page that may not connect. Programs send no Origin."""
    origins = headers.get_all("Origin")
    hosts = headers.get_all("Host") or [""]
    return not all(policy.allows(origin, host) for origin in origins for host in hosts)


def _host_name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
