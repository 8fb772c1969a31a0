"""`harvester token`: API tokens for programs, Prometheus for example."""

import argparse
import datetime as dt
import os

from broker.auth import accounts
from broker.auth.accounts import ApiToken, TokenRole
from broker.auth.gate import Role
from bus.clock import now_ms
from bus.config import hub_files
from bus.config.hub_files import HubFiles
from harvester.hub.options import define_hub_command, hub_config
from hub_app.login import token_uses

_MAX_DAYS = 3650
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
    add.add_argument(
        "--days",
        type=_days,
        help=f"the token expires after so many days, 1 to {_MAX_DAYS}; default: never",
    )
    listing = verbs.add_parser("list", help="list the tokens with role, expiry and last use")
    define_hub_command(listing, "List the tokens with role, expiry and last use.", _list)
    revoke = verbs.add_parser("revoke", help="revoke a token at once")
    define_hub_command(revoke, "Revoke a token at once.", _revoke)
    revoke.add_argument("name", help="the name that `harvester token list` shows")


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MAX_DAYS:
        raise argparse.ArgumentTypeError(f"found {text[:70]!r}, expected 1 to {_MAX_DAYS}")
    return int(text)


def _files(options: argparse.Namespace) -> HubFiles:
    return hub_files.of(hub_config(options), os.environ)


def _add(options: argparse.Namespace) -> None:
    path, role = _files(options).accounts, _ROLES[options.role]
    print(accounts.add_token(path, options.name, role, options.days))


def _list(options: argparse.Namespace) -> None:
    files = _files(options)
    found = accounts.load(files.accounts).tokens
    if not found:
        print("no tokens yet")
        return
    uses = token_uses.load(files.state_dir / token_uses.FILE_NAME)
    width = max(len(name) for name in found)
    for name, token in sorted(found.items()):
        facts = (
            f"{name:<{width}}",
            f"{token.role:<8}",
            f"since {_minute(token.since_ms)}",
            _expiry(token),
            _last_use(token, uses.get(name)),
        )
        print("  ".join(facts))


def _expiry(token: ApiToken) -> str:
    if token.expires_ms is None:
        return "never expires"
    word = "expired" if token.expires_ms <= now_ms() else "expires"
    return f"{word} {_minute(token.expires_ms)}"


def _last_use(token: ApiToken, used_ms: int | None) -> str:
    # An earlier use was that of another token of this name.
    if used_ms is None or used_ms < token.since_ms:
        return "not used yet"
    return f"last used {_minute(used_ms)}"


def _minute(at_ms: int) -> str:
    return f"{dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC):%Y-%m-%d %H:%M UTC}"


def _revoke(options: argparse.Namespace) -> None:
    accounts.revoke_token(_files(options).accounts, options.name)
    print(f"{options.name}: token revoked")
