"""Command-line options that every program takes: the configuration, `--check`, `--version`."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from bus import journal_log
from bus.config import config_file, plugin_files
from bus.config.settings import Config, Role, check_addresses
from bus.errors import MisconfiguredError
from bus.install.version import version_and_commit

logger = logging.getLogger(__name__)

EXIT_MISCONFIGURED = 2


class VersionAction(argparse.Action):
    """`--version`: asks git only when it is given, unlike argparse's own action."""

    def __init__(self, option_strings: Sequence[str], **_: object) -> None:
        super().__init__(
            option_strings, argparse.SUPPRESS, nargs=0, help="print version and commit, and exit"
        )

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"{parser.prog} {version_and_commit()}")  # noqa: T201 - this is what was asked for
        parser.exit()


def parser(program: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every program takes."""
    made = argparse.ArgumentParser(prog=program, description=description)
    made.add_argument("--version", action=VersionAction)
    add_options(made)
    return made


def add_options(to: argparse.ArgumentParser) -> None:
    """Add the options that choose, override and check a configuration."""
    to.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration file; default: config/ROLE.toml here or one folder up, else built-in",
    )
    to.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="TABLE.KEY=VALUE",
        help="override one key of the configuration; may be given more than once",
    )
    to.add_argument(
        "--simulate", action="store_true", help="use simulated hardware: nothing real is touched"
    )
    to.add_argument(
        "--check",
        action="store_true",
        help="check the configuration, print it as it takes effect, and exit",
    )


def load(
    options: argparse.Namespace, role: str, *, check: Callable[[Config], None] | None = None
) -> Config:
    """Return the configuration that `options` ask for. Exits with 0 after `--check`.

    `check` raises MisconfiguredError where the program has no use for a configuration. Exits with 2
    and one line on standard error where the configuration is wrong.
    """
    overrides: Sequence[str] = options.overrides
    if options.simulate:
        overrides = (*overrides, "hardware.driver=simulated")
    path = options.config or config_file.find(role, Path.cwd())
    try:
        config = config_file.load(path, overrides, role=_role_of(options))
        if check is not None:
            check(config)
        if options.check:
            plugin_files.check(config, path)
            check_addresses(config)
    except MisconfiguredError as e:
        journal_log.print_error(str(e))
        sys.exit(EXIT_MISCONFIGURED)
    if options.check:
        print(config_file.dump(config), end="")  # noqa: T201 - this is what was asked for
        sys.exit(0)
    journal_log.set_up(config.logging.level.upper(), sys.stderr, os.environ)
    return config


def _role_of(options: argparse.Namespace) -> str | None:
    role: str | None = getattr(options, "role", None)
    return role if role in get_args(Role) else None


def load_node(program: str, description: str, arguments: Sequence[str] | None) -> Config:
    """Return the configuration that the command line of a node's program asks for; see `load`."""
    made = parser(program, description)
    made.add_argument(
        "--role",
        choices=("hub", "spoke"),
        help="what this node is, and which configuration to look for; default: the file's, spoke",
    )
    options = made.parse_args(arguments)
    return load(options, options.role or "spoke", check=_check_is_node)


def _check_is_node(config: Config) -> None:
    if config.cluster.role == "fleet":
        raise MisconfiguredError(
            'cluster.role: found "fleet", expected "hub" or "spoke"; hub-app has the role fleet'
        )
