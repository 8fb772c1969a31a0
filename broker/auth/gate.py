"""Who asks, and what the embedded broker asks before it lets anyone do anything.

The broker knows no passwords and no rules: it is given a `Gate`.
"""

import enum
from typing import Protocol

import msgspec


class Role(enum.StrEnum):
    """What a client of the broker is."""

    NODE = "node"
    HUB = "hub"
    OPERATOR = "operator"
    VIEWER = "viewer"


class Identity(msgspec.Struct, frozen=True):
    """Who a client proved to be. A node's name is its node id."""

    name: str
    role: Role


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A CONNECT that wants in. `password` is in no text of it."""

    client_id: str
    username: str | None
    password: bytes | None
    # The peer's address without its port, and whether it is this machine itself, without TLS.
    address: str
    is_local: bool
    # The common name of the client's certificate, where the listener asks for one.
    certificate_name: str | None = None

    def __repr__(self) -> str:
        return f"Attempt({self.client_id!r}, {self.username!r}, from {self.address})"


class Gate(Protocol):
    """Lets clients in and says what each may do. All but `identify` are asked for every message."""

    async def identify(self, attempt: Attempt) -> Identity | None:
        """Return who this is, or None: refused, with nothing changed."""

    def may_publish(self, identity: Identity, topic: str) -> bool: ...

    def may_subscribe(self, identity: Identity, topic_filter: str) -> bool:
        """Whether every topic that `topic_filter` can match may be read."""

    def may_receive(self, identity: Identity, topic: str) -> bool: ...


def session_key(identity: Identity, client_id: str) -> str:
    """Return what a session is kept under: nobody takes over what another user opened."""
    return f"{identity.role}:{identity.name}:{client_id}"
