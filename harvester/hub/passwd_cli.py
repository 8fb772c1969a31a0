"""`harvester passwd`: sets and removes the passwords of people, Home Assistant and devices."""

import argparse
import getpass
import os
import sys

from broker.auth import accounts, open_topics
from broker.auth.accounts import PersonRole
from broker.auth.gate import Role
from broker.auth.open_topics import CLIENT_ID, DEFAULTS, Scope
from bus.config import hub_files
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from harvester.hub.options import define_hub_command, hub_config

_ROLES: dict[str, PersonRole] = {
    "operator": Role.OPERATOR,
    "viewer": Role.VIEWER,
    "integration": Role.INTEGRATION,
    "device": Role.DEVICE,
}


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    about = "Set the password of a user, which is read from the terminal or standard input."
    define_hub_command(parser, about, _passwd)
    parser.add_argument("name", help="the user name, of a person, a program or a device")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--role",
        choices=tuple(_ROLES),
        default="viewer",
        help="an operator may send commands, a viewer may only look; integration is for Home "
        "Assistant, Node-RED or a bridge, and device for a Zigbee2MQTT or a Tasmota, which connect "
        "to the broker and not to the page; default: viewer",
    )
    parser.add_argument(
        "--topics",
        nargs="+",
        default=(),
        metavar="FILTER",
        help="what an integration or a device may use below [broker] open_roots, such as "
        "'zigbee2mqtt/#'; %%u stands for the user name, %%c for the client identifier; default of "
        "a device: '%%u/#' and '+/%%u/#', of an integration: '#'",
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
    accounts.set_password(
        path,
        options.name,
        role,
        password,
        topics=options.topics,
        with_nats=not config.embeds_broker,
    )
    where = "connect to the broker" if role in DEFAULTS else "log in"
    print(f"{options.name} may {where} as {role}")
    if role in DEFAULTS:
        _print_topics(config, options.name, role, tuple(options.topics))


def _print_topics(config: Config, name: str, role: Role, topics: tuple[str, ...]) -> None:
    scope = Scope(config.homeassistant.prefix, tuple(config.broker.open_roots), topics)
    # A client identifier stands for every one here.
    found = open_topics.filters_of(role, name, CLIENT_ID, scope)
    if found:
        print(f"topics of other devices that it may use: {' '.join(found)}")
    elif role is Role.DEVICE:
        print("it may use no topic: open_roots of [broker] names none of those that it asks for")


def _read_password(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass(f"password for {name}: ")
    if getpass.getpass("repeat it: ") != password:
        raise MisconfiguredError("the two passwords differ")
    return password
