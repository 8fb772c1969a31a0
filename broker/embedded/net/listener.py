"""Where the embedded broker listens."""

import ssl

import msgspec


class Listener(msgspec.Struct, frozen=True):
    """One TCP address. `tls` set: TLS with that context, and its peers are never local.

    `key` is the setting to change where the address cannot be had.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    key: str = "broker.port"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
