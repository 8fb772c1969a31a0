"""Names and addresses of this hub, as its certificate and the credentials of nodes have them."""

import ipaddress
import socket
from collections.abc import Sequence

from bus.client.own_addresses import own_addresses
from bus.config.settings import Config
from bus.errors import MisconfiguredError


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
    return own_addresses()


def _is_any(listen: str) -> bool:
    try:
        return ipaddress.ip_address(listen).is_unspecified
    except ValueError:
        return False
