"""`harvester token`: API tokens for programs, Prometheus for example."""

import argparse
import datetime as dt
import os
from pathlib import Path

from broker.auth import accounts
from broker.auth.accounts import TokenRole
from broker.auth.gate import Role
from bus.config import hub_files
from harvester.hub.options import define_hub_command, hub_config

_ROLES: dict[str, TokenRole] = {"operator": Role.OPERATOR, "viewer": Role.VIEWER}


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's three verbs."""
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    about = "make a token, or replace the one of that name, and print it once"
    add = verbs.add_parser("add", help=about)
    define_hub_command(add, f"{about[0].upper()}{about[1:]}.", _add)
    add.add_argument("name", help="what it is for, for example prometheus")
    add.add_argument(
        "--role",
        choices=tuple(_ROLES),
        default="viewer",
        help="an operator's token may send commands, a viewer's only reads; default: viewer",
    )
    listing = verbs.add_parser("list", help="list the tokens by name")
    define_hub_command(listing, "List the tokens by name.", _list)
    revoke = verbs.add_parser("revoke", help="revoke a token at once")
    define_hub_command(revoke, "Revoke a token at once.", _revoke)
    revoke.add_argument("name", help="the name that `harvester token list` shows")


def _path(options: argparse.Namespace) -> Path:
    return hub_files.of(hub_config(options), os.environ).accounts


def _add(options: argparse.Namespace) -> None:
    role = _ROLES[options.role]
    token = accounts.add_token(_path(options), options.name, role)
    print(token)


def _list(options: argparse.Namespace) -> None:
    found = accounts.load(_path(options)).tokens
    if not found:
        print("no tokens yet")
    width = max((len(name) for name in found), default=0)
    for name, token in sorted(found.items()):
        day = dt.datetime.fromtimestamp(token.since_ms / 1000, dt.UTC)
        print(f"{name:<{width}}  {token.role:<8}  since {day:%Y-%m-%d %H:%M UTC}")


def _revoke(options: argparse.Namespace) -> None:
    accounts.revoke_token(_path(options), options.name)
    print(f"{options.name}: token revoked")
