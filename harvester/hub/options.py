"""Options and configuration of the commands that run on the hub."""

import argparse
from collections.abc import Callable

from bus.config import command_line, config_file
from bus.config.settings import Config
from bus.errors import MisconfiguredError

Run = Callable[[argparse.Namespace], None]


def define_hub_command(parser: argparse.ArgumentParser, about: str, run: Run) -> None:
    """Define a command that reads the hub's configuration."""
    parser.description = f"{about} Run it on the hub."
    command_line.add_options(parser)
    parser.set_defaults(run=run)


def hub_config(options: argparse.Namespace) -> Config:
    """Return the hub's configuration. Raises MisconfiguredError where it is a spoke's."""
    options.config = options.config or config_file.find_installed("hub", options.project)
    if options.config is None:
        options.overrides.insert(0, "cluster.role=hub")
    config = command_line.load(options, "hub")
    if config.cluster.role not in ("hub", "fleet"):
        raise MisconfiguredError(
            f"{options.config}: found cluster.role {config.cluster.role!r}, expected the hub's file"
        )
    return config
