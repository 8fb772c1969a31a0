"""Addresses of network peers: one spelling for each, and the network that limits count by."""

import ipaddress

# One subscriber of an IPv6 network has at least this much to himself (RFC 6177).
_IPV6_PREFIX = 64

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


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
