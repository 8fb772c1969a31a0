"""Gate: the interface by which the broker authenticates and authorizes its clients.

The broker knows no passwords and no rules.
"""

import enum
from typing import Protocol

import msgspec

from bus.config.broker_table import LocalAccess


class Role(enum.StrEnum):
    """Role of a client, which decides its rights."""

    NODE = "node"
    HUB = "hub"
    OPERATOR = "operator"
    VIEWER = "viewer"
    # Home Assistant, Node-RED, a bridge to another broker.
    INTEGRATION = "integration"
    # Other people's devices: see `open_topics`.
    DEVICE = "device"


_LOCAL_ROLES: dict[LocalAccess, Role] = {
    True: Role.OPERATOR,
    "command": Role.OPERATOR,
    "listen": Role.VIEWER,
}


User = tuple[Role, str]


class Identity(msgspec.Struct, frozen=True):
    """Authenticated user of a connection. A node's name is its node id.

    `client_id` is set where rights may depend on it: for accounts with open topics.
    """

    name: str
    role: Role
    client_id: str = ""

    @property
    def user(self) -> User:
        """The account, whatever the client identifier."""
        return self.role, self.name


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A CONNECT attempt. `repr` is for logs and omits the password."""

    client_id: str
    username: str | None
    password: bytes | None
    # The peer's address without its port; whether it is this machine, without TLS.
    address: str
    is_local: bool
    # The common name of the client's certificate, where the listener asks for one.
    certificate_name: str | None = None
    # The topic of its last will.
    will_topic: str | None = None

    def __repr__(self) -> str:
        account = "no account" if self.username is None else f"account {self.username!r}"
        return f"client {self.client_id!r}, {account}, from {self.address}"


class Gate(Protocol):
    """Authentication and authorization.

    The answers of `may_publish` and `may_receive` are cached until `generation` changes.
    """

    @property
    def generation(self) -> int:
        """Return another number whenever an answer may differ from the one before."""

    async def authenticate(self, attempt: Attempt) -> Identity | None:
        """Return the client's identity; None where it is refused."""

    def may_publish(self, identity: Identity, topic: str) -> bool:
        """Whether `identity` may publish to `topic`."""

    def may_subscribe(self, identity: Identity, topic_filter: str) -> bool:
        """Whether `identity` may read any topic that `topic_filter` can match."""

    def may_receive(self, identity: Identity, topic: str) -> bool:
        """Whether `identity` may receive a message of `topic`."""


def local_role(allow_local: LocalAccess) -> Role | None:
    """Return the role of local clients without a login; None where they need one."""
    return _LOCAL_ROLES.get(allow_local)


def identity_of(name: str, role: Role, client_id: str) -> Identity:
    """Return the identity of a user at one client identifier."""
    return Identity(name, role, client_id if role in (Role.DEVICE, Role.INTEGRATION) else "")


def session_key(identity: Identity, client_id: str) -> str:
    """Return the key of a session. It has the user, so nobody takes over another's session."""
    return f"{identity.role}:{identity.name}:{client_id}"
