"""The [web] table: address of the HTTP server, cards of the page, login, reverse proxy."""

import ipaddress
from typing import Annotated

import msgspec

from bus.config.key_types import Port, Table
from bus.contract.bounds import Name
from bus.errors import MisconfiguredError
from bus.peer_address import is_host

# Labels of letters, digits and hyphens, as RFC 1123 section 2.1 has host names.
HostName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z",
        max_length=253,
        description="a host name in lower case, without port",
    ),
]

# Segments of RFC 3986 unreserved characters, without a slash at the end.
RootPath = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^((/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+)?\Z",
        max_length=200,
        description="a path such as /harvester, without a slash at its end",
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
    # HTTPS with the certificate of `harvester tls init`; plain HTTP is redirected.
    tls: bool = False
    # Where new machines join, over TLS, while a join code is valid; empty: as [broker].
    join_listen: str = ""
    join_port: Port = 8443
    # Where nodes of another broker find that port, a name or an address; empty: the first name of
    # the certificate, or this machine's address.
    join_name: str = ""
    # The path below which a reverse proxy has the page; empty where the page has a name of its own.
    root_path: RootPath = ""
    # Addresses and networks of reverse proxies, whose X-Forwarded headers are believed.
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")

    def __repr__(self) -> str:
        return f"Web({self.listen!r}, {self.port!r})"


def check_join_name(web: WebConfig) -> None:
    """Raise MisconfiguredError where it is no host."""
    if web.join_name and not is_host(web.join_name):
        raise MisconfiguredError(
            f"web.join_name: found {web.join_name[:70]!r}, expected a host name or an address"
        )


def check_tls(web: WebConfig, role: str) -> None:
    """Raise MisconfiguredError where a node that is no hub is to speak TLS."""
    if web.tls and role == "spoke":
        raise MisconfiguredError(
            f"web.tls: found true for the role {role!r}, expected false; only the hub speaks HTTPS"
        )


def check_trusted_proxies(web: WebConfig) -> None:
    """Raise MisconfiguredError where one of them is no address and no network."""
    for i, text in enumerate(web.trusted_proxies):
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError as e:
            raise MisconfiguredError(
                f"web.trusted_proxies[{i}]: found {text[:70]!r}, expected an address or a network, "
                "for example 192.168.7.2 or 192.168.7.0/24"
            ) from e
