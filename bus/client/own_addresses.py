"""Addresses of this machine, those by which others know it first."""

import array
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

# A documentation address (RFC 5737): connecting a UDP socket to it sends nothing.
_ELSEWHERE = ("192.0.2.1", 9)
# netdevice(7): lists the IPv4 addresses of interfaces that are up.
_SIOCGIFCONF = 0x8912
_MOST_ADDRESSES = 256
# struct ifreq: a name of 16 bytes and a union, whose longest member holds two longs.
_IFREQ_BYTES = 16 + max(16, 2 * struct.calcsize("L") + 8)
# Within an ifreq: name, family and port of sockaddr_in.
_IPV4_AT = 20
_INTERFACES_IPV6 = Path("/proc/net/if_inet6")
# The kernel's include/uapi/linux/if_addr.h.
_TEMPORARY, _DEPRECATED = 0x01, 0x20


def own_addresses() -> list[str]:
    """Return every address that other machines may reach, also without a default route."""
    found = [*_on_the_way_out(), *_ipv4(), *_ipv6()]
    return [text for text in dict.fromkeys(found) if not ipaddress.ip_address(text).is_loopback]


def _on_the_way_out() -> list[str]:
    """Return the address that others know this machine by; none without a default route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return []
        return [str(probe.getsockname()[0])]


def _ipv4() -> Iterator[str]:
    entries = array.array("B", bytes(_MOST_ADDRESSES * _IFREQ_BYTES))
    address, _ = entries.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        request = struct.pack("iP", len(entries), address)
        answer = fcntl.ioctl(asking, _SIOCGIFCONF, request)
    (length, _) = struct.unpack("iP", answer)
    for start in range(0, length, _IFREQ_BYTES):
        yield socket.inet_ntoa(entries[start + _IPV4_AT : start + _IPV4_AT + 4].tobytes())


def _ipv6() -> Iterator[str]:
    """Yield the lasting global addresses; those of the link need a zone, which no URL can have."""
    try:
        lines = _INTERFACES_IPV6.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        digits, _index, _prefix, _scope, flags, _name = line.split()
        found = ipaddress.IPv6Address(int(digits, 16))
        if not found.is_link_local and not int(flags, 16) & (_TEMPORARY | _DEPRECATED):
            yield str(found)
