"""Loopback addresses."""

import ipaddress


def is_loopback(address: str) -> bool:
    """Whether `address` is a loopback one, also where IPv6 carries IPv4 (RFC 4291, 2.5.5.2)."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)
