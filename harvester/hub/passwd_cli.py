"""`harvester passwd`: sets and removes the passwords of people and of Home Assistant."""

import argparse
import getpass
import os
import sys

from broker.auth import accounts
from broker.auth.accounts import PersonRole
from broker.auth.gate import Role
from bus.config import hub_files
from bus.errors import MisconfiguredError
from harvester.hub.options import define_hub_command, hub_config

_ROLES: dict[str, PersonRole] = {
    "operator": Role.OPERATOR,
    "viewer": Role.VIEWER,
    "integration": Role.INTEGRATION,
}


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    about = "Set the password of a user, which is read from the terminal or standard input."
    define_hub_command(parser, about, _passwd)
    parser.add_argument("name", help="the user name, of a person or of Home Assistant")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--role",
        choices=tuple(_ROLES),
        default="viewer",
        help="an operator may send commands, a viewer may only look; integration is for Home "
        "Assistant, which connects to the broker and not to the page; default: viewer",
    )
    what.add_argument("--remove", action="store_true", help="remove the account")


def _passwd(options: argparse.Namespace) -> None:
    config = hub_config(options)
    path = hub_files.of(config, os.environ).accounts
    if options.remove:
        if options.name not in accounts.load(path).people:
            raise MisconfiguredError(f"{path}: found no person {options.name!r}")
        accounts.revoke(path, options.name)
        print(f"{options.name}: account removed")
        return
    role = _ROLES[options.role]
    password = _read_password(options.name)
    with_nats = not config.embeds_broker
    accounts.set_password(path, options.name, role, password, with_nats=with_nats)
    where = "connect to the broker" if role is Role.INTEGRATION else "log in"
    print(f"{options.name} may {where} as {role}")


def _read_password(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass(f"password for {name}: ")
    if getpass.getpass("repeat it: ") != password:
        raise MisconfiguredError("the two passwords differ")
    return password
