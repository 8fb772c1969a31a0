"""Names and addresses of this machine, as its certificate and the credentials of nodes name it."""

import array
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from bus.config.settings import Config
from bus.errors import MisconfiguredError

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


def own_names(config: Config) -> list[str]:
    """Return the addresses and names of this machine, those on the LAN first.

    Where the page speaks HTTPS, its names follow.
    """
    host = socket.gethostname()
    found = [*addresses(config), host, f"{host}.local", "localhost", "127.0.0.1", "::1"]
    if config.web.tls:
        found += config.web.names
    return list(dict.fromkeys(found))


def certificate_names(config: Config, more: Sequence[str]) -> list[str]:
    """Return the names of a new certificate, `more` first.

    Raises MisconfiguredError where no other machine would find the hub under any of them.
    """
    if not more and not addresses(config):
        raise MisconfiguredError(
            "found no address of this machine on a network; plug in its cable, or name the address "
            "that it will have: harvester tls init --name ADDRESS"
        )
    return list(dict.fromkeys([*more, *own_names(config)]))


def addresses(config: Config) -> list[str]:
    """Return the address that the broker listens on, or all of this machine."""
    listen = config.broker.listen
    if not _is_any(listen):
        return [listen]
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


def _is_any(listen: str) -> bool:
    try:
        return ipaddress.ip_address(listen).is_unspecified
    except ValueError:
        return False
