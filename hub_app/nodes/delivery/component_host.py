"""Host at which nodes fetch components where their broker is another one than the hub's own.

A node knows the hub's address only where it is the broker's; otherwise the signed order names it.
"""

import ipaddress
from collections.abc import Callable

import msgspec

from broker.auth.server_tls import CERTIFICATE_NAME
from bus.client.own_addresses import own_addresses
from bus.config import broker_url
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from bus.errors import MisconfiguredError

_LOCAL = ("localhost", "127.0.0.1", "::1")
_NO_CERTIFICATE = (
    "nodes that reach the broker over TLS (broker.url) fetch components over TLS, too, and the hub "
    "has no certificate; run `harvester tls init` on it and restart it, or send a bundle"
)


class ComponentHost(msgspec.Struct, frozen=True):
    """Where nodes fetch components: a port, at `host` or else at their broker's.

    `host` blocks. `obstacle` says why no node can fetch any.
    """

    port: int = 0
    host: Callable[[], str] = lambda: ""
    obstacle: str = ""


def of(config: Config, files: HubFiles) -> ComponentHost:
    """Return where nodes fetch components of this hub."""
    return ComponentHost(
        config.web.join_port, lambda: _host(config, files), _obstacle(config, files)
    )


def _host(config: Config, files: HubFiles) -> str:
    """Return what orders name, empty where nodes have the hub's address.

    That is `web.join_name`, or the first name of the hub's certificate, or this machine's first
    address. Raises MisconfiguredError where there is none.
    """
    if config.embeds_broker:
        return ""
    found = [config.web.join_name, *_certified(files), *_listening(config), *own_addresses()]
    name = next(filter(None, found), "")
    if not name:
        raise MisconfiguredError(
            "web.join_name: found no address of this machine, expected the one at which nodes "
            "fetch components"
        )
    return name


def _obstacle(config: Config, files: HubFiles) -> str:
    """Return why no node can fetch components of this hub, or nothing."""
    if config.embeds_broker or (files.tls_dir / CERTIFICATE_NAME).exists():
        return ""
    is_tls = broker_url.parse(config.broker.url, "broker.url").tls
    return _NO_CERTIFICATE if is_tls else ""


def _certified(files: HubFiles) -> list[str]:
    certificate = files.tls_dir / CERTIFICATE_NAME
    if not certificate.exists():
        return []
    # `cryptography` takes 7 MB, which a hub that sends no component saves.
    from broker.auth import certificates  # noqa: PLC0415

    names = certificates.validity(certificate).names
    return sorted(names, key=lambda name: name in _LOCAL)


def _listening(config: Config) -> list[str]:
    """Return the address that the join listener is bound to, where it is one alone."""
    address = config.web.join_listen or config.broker.listen
    try:
        return [] if ipaddress.ip_address(address).is_unspecified else [address]
    except ValueError:
        return [address]
