"""Options and configuration of the commands that run on the hub."""

import argparse
import ipaddress
import socket
from collections.abc import Callable

from bus.config import command_line, config_file
from bus.config.settings import Config
from bus.errors import MisconfiguredError

Run = Callable[[argparse.Namespace], None]

# A documentation address (RFC 5737): connecting a UDP socket to it sends nothing.
_ELSEWHERE = ("192.0.2.1", 9)


def define_hub_command(parser: argparse.ArgumentParser, about: str, run: Run) -> None:
    """Define a command that reads the hub's configuration."""
    parser.description = f"{about} Run it on the hub."
    command_line.add_options(parser)
    parser.set_defaults(run=run)


def hub_config(options: argparse.Namespace) -> Config:
    """Return the hub's configuration. Raises MisconfiguredError where it is a spoke's."""
    options.config = options.config or config_file.find("hub", options.project)
    if options.config is None:
        options.overrides.insert(0, "cluster.role=hub")
    config = command_line.load(options, "hub")
    if config.cluster.role != "hub":
        raise MisconfiguredError(
            f"{options.config}: found cluster.role {config.cluster.role!r}, expected the hub's file"
        )
    return config


def own_names(config: Config) -> list[str]:
    """Return the addresses and names of this machine, those on the LAN first.

    Where the page speaks HTTPS, its names follow.
    """
    host = socket.gethostname()
    found = [*_addresses(config), host, f"{host}.local", "localhost", "127.0.0.1", "::1"]
    if config.web.tls:
        found += config.web.names
    return list(dict.fromkeys(found))


def _addresses(config: Config) -> list[str]:
    listen = config.broker.listen
    if not _is_any(listen):
        return [listen]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return []
        return [str(probe.getsockname()[0])]


def _is_any(listen: str) -> bool:
    try:
        return ipaddress.ip_address(listen).is_unspecified
    except ValueError:
        return False
