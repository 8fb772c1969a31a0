"""`harvester`: build plugins, start the whole system here, set up and examine a machine.

Each command is a module that is imported only when it is asked for, so that a machine needs only
the packages of what it runs.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bus.config.command_line import EXIT_MISCONFIGURED, VersionAction
from bus.errors import HarvesterError, MisconfiguredError
from bus.install import extras
from harvester.errors import EXIT_FAILED
from harvester.plugins.project import from_here


class Command(msgspec.Struct, frozen=True):
    """One command: the module whose `add` defines its options, and the extra that it needs."""

    name: str
    module: str
    extra: str
    help: str


COMMANDS = (
    Command(
        "up",
        "harvester.up_cli",
        "hub",
        "start hub, two agents and the Pi Zero service here, on simulated hardware",
    ),
    Command("init", "harvester.init", "", "write the three configurations to edit"),
    Command("plugins", "harvester.plugins.cli", "agent", "make, build, try and examine plugins"),
    Command(
        "doctor",
        "harvester.doctor.cli",
        "",
        "check this machine against its node's configuration, and name each remedy",
    ),
    Command("install", "harvester.install.cli", "", "set this machine up as a hub or a node"),
    Command(
        "uninstall",
        "harvester.install.uninstall_cli",
        "",
        "remove what `harvester install` made, and keep data and configuration",
    ),
    Command("update", "harvester.update.cli", "", "change this machine to another version"),
    Command("rollback", "harvester.update.rollback_cli", "", "change back to the version before"),
    Command("bus", "harvester.bus.cli", "", "print, publish and remove messages on the bus"),
    Command("enroll", "harvester.hub.enroll_cli", "hub", "create or revoke a node's login"),
    Command("join-code", "harvester.hub.join_code_cli", "hub", "make the line that adds a machine"),
    Command("join", "harvester.join.cli", "", "make this machine a node; run by the hub's line"),
    Command("nodes", "harvester.hub.nodes_cli", "hub", "update nodes to the hub's version"),
    Command("node", "harvester.hub.node_cli", "hub", "list, remove or rename nodes"),
    Command("passwd", "harvester.hub.passwd_cli", "hub", "set or remove a person's password"),
    Command("token", "harvester.hub.token_cli", "hub", "make, list and revoke API tokens"),
    Command("backup", "harvester.hub.backup_cli", "hub", "write a backup of the hub while it runs"),
    Command("restore", "harvester.hub.restore_cli", "hub", "make a hub of a backup"),
    Command("history", "harvester.hub.history.cli", "hub", "export what the hub has stored"),
    Command("notify", "harvester.hub.notify_cli", "hub", "try the notifications of alarms"),
    Command("broker", "harvester.hub.broker_cli", "hub", "use another broker instead of the hub's"),
    Command("tls", "harvester.hub.tls_cli", "hub", "make certificates for the hub's broker"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser(_command_in(words)).parse_args(words)
        options.run(options)
    except MisconfiguredError as e:
        print(from_here(e), file=sys.stderr)
        sys.exit(EXIT_MISCONFIGURED)
    except HarvesterError as e:
        print(from_here(e), file=sys.stderr)
        sys.exit(EXIT_FAILED)


def _command_in(words: Sequence[str]) -> str:
    """Return the command among the arguments, or nothing where there is none."""
    rest = iter(words)
    for word in rest:
        if word == "--project":
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return ""


def _parser(chosen: str) -> argparse.ArgumentParser:
    """Return the parser with the options of the chosen command, and every command's help."""
    parser = argparse.ArgumentParser(
        prog="harvester",
        description="Build plugins, run and set up HARVESTER's nodes.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=VersionAction)
    parser.add_argument(
        "--project",
        type=Path,
        default=Path.cwd(),
        metavar="DIR",
        help="folder with your config/ and plugins/; default: this one. What is not there comes "
        "from the installed program",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        added = commands.add_parser(command.name, help=command.help)
        if command.name == chosen:
            program = f"harvester {command.name}"
            extras.load(command.module, program, command.extra).define(added)
    return parser


if __name__ == "__main__":
    main()
