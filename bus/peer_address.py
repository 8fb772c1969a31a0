"""Addresses of hosts and network peers: spelling, networks that limits count by, and proxies."""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

# One subscriber of an IPv6 network has at least this much to himself (RFC 6177).
_IPV6_PREFIX = 64
_MAX_CACHED_ADDRESSES = 4096

# RFC 1123 section 2.1; the last label is not numeric, as that of a mistyped address is.
_HOST_NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*(?!\d+\.?\Z)[A-Za-z0-9_-]{1,63}\.?")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_host(text: str) -> bool:
    """Whether `text` is an IP address, or a name that a lookup may turn into one."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST_NAME.fullmatch(text))
    return True


def share_an_address(one: str, other: str) -> bool:
    """Whether sockets that listen on `one` and on `other` cannot have the same port."""
    return one == other or "::" in (one, other) or "0.0.0.0" in (one, other)  # noqa: S104 - compared


def parse(address: str) -> IpAddress | None:
    """Return an address without its zone; IPv4 in IPv6 (RFC 4291, 2.5.5.2) becomes IPv4."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def network_of(address: str) -> str:
    """Return an IPv4 address as it is, the /64 network of an IPv6 address, or other text as is."""
    found = parse(address)
    if found is None:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(ipaddress.ip_network((int(found), _IPV6_PREFIX), strict=False))


class TrustedProxies:
    """Addresses and networks whose X-Forwarded headers are believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in networks]
        self._trusts = lru_cache(_MAX_CACHED_ADDRESSES)(self._contains)

    def __contains__(self, address: str) -> bool:
        return self._trusts(address)

    def client_of(self, peer: str, forwarded_for: Iterable[str]) -> str:
        """Return the client's address: the last one that no trusted proxy added.

        Each proxy appends its own peer, so whatever stands left of an untrusted one may be made up.
        """
        client = peer
        for text in reversed(
            [part.strip() for value in forwarded_for for part in value.split(",")]
        ):
            if client not in self:
                break
            found = _address(text)
            if found is None:
                break
            client = found
        return client

    def _contains(self, address: str) -> bool:
        found = parse(address)
        return found is not None and any(found in network for network in self._networks)


def _address(text: str) -> str | None:
    """Return the address in an element of X-Forwarded-For, which may have a port."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    found = parse(text)
    return None if found is None else str(found)
