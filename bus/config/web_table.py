"""The [web] table: address of the HTTP server, cards of the page, login."""

from typing import Annotated

import msgspec

from bus.config.key_types import Port, Table
from bus.contract.bounds import Name

# Labels of letters, digits and hyphens, as RFC 1123 section 2.1 has host names.
HostName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z",
        max_length=253,
        description="a host name in lower case, without port",
    ),
]


class Card(Table, frozen=True):
    """One card of the page: a node's own health where `node` is set, and the sensors named."""

    title: str
    node: Name | None = None
    sensors: list[str] = []


class WebConfig(Table, frozen=True):
    """HTTP server: the page on the hub, `/health` on a Pi Zero.

    Without `password` and `login` the page is open to everyone who reaches it.
    """

    listen: str = "0.0.0.0"  # noqa: S104 - the page is for the LAN
    port: Port = 3000
    cards: list[Card] = []
    # Host names of the page, in addition to addresses and this machine's own names.
    names: list[HostName] = []
    # A file, mode 0600, that holds the password of the user "operator".
    password: str = ""
    # Require a login, with the accounts that `harvester passwd` made.
    login: bool = False

    def __repr__(self) -> str:
        return f"Web({self.listen!r}, {self.port!r})"
