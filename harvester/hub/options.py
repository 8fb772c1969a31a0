"""What the commands that run on the hub have in common."""

import argparse
import ipaddress
import socket
from collections.abc import Callable

from bus.config import command_line, config_file
from bus.config.settings import Config
from bus.errors import MisconfiguredError

Run = Callable[[argparse.Namespace], None]

# An address of documentation (RFC 5737): choosing a route to it sends nothing.
_ELSEWHERE = ("192.0.2.1", 9)


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, about: str, run: Run
) -> argparse.ArgumentParser:
    """Add a command that reads the hub's configuration."""
    added = commands.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}. Run it on the hub.",
        parents=[command_line.parser(f"harvester {name}", "")],
        conflict_handler="resolve",
    )
    added.set_defaults(run=run)
    return added


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
    """Return under what this machine can be reached: addresses and names, the LAN's first."""
    host = socket.gethostname()
    found = [*_addresses(config), host, f"{host}.local", "localhost", "127.0.0.1", "::1"]
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
