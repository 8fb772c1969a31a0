"""Listener: an address at which the embedded broker accepts connections."""

import ssl

import msgspec

from broker.embedded.net.websocket.handshake import WebSocketPolicy


class Listener(msgspec.Struct, frozen=True):
    """TCP address. With `tls`, connections use TLS and are never local.

    With `websocket`, they are WebSockets and never local either: a web page or a proxy on this
    machine connects for strangers. `key` is the setting to change where the address cannot be used.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    key: str = "broker.port"
    websocket: WebSocketPolicy | None = None

    @property
    def serves_local_clients(self) -> bool:
        """Whether a client on this machine needs no login here."""
        return self.tls is None and self.websocket is None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
