"""Listener: an address at which the embedded broker accepts connections."""

import ssl

import msgspec


class Listener(msgspec.Struct, frozen=True):
    """TCP address. With `tls`, connections use TLS and are never local.

    `key` is the setting to change where the address cannot be used.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    key: str = "broker.port"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
