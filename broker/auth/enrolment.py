"""Enrolment of programs on the hub's own machine: account and credentials together."""

from pathlib import Path

import msgspec

from broker.auth import accounts, bundle_key, tokens
from broker.auth.accounts import HUB_USER, Machine
from bus.client import credentials
from bus.client.credentials import Credentials


def ensure(accounts_file: Path, node: str, file: Path, *, with_nats: bool = False) -> None:
    """Enroll `node` with credentials in `file`, unless valid ones exist.

    Those of a hub with another key of bundles get the present one.
    """
    key, found = bundle_key.ensure(accounts_file.parent), credentials.load(file)
    account = accounts.load(accounts_file).nodes.get(node)
    if not _is_valid(account, node, found, with_nats=with_nats):
        token = accounts.enroll(accounts_file, node, with_nats=with_nats)
        credentials.save(file, Credentials(username=node, token=token, bundle_key=key))
    elif found is not None and found.bundle_key != key:
        credentials.save(file, msgspec.structs.replace(found, bundle_key=key))


def ensure_hub(accounts_file: Path, file: Path, *, with_nats: bool = False) -> None:
    """Give the hub an account for an external broker; see `ensure`."""
    account = accounts.load(accounts_file).hub
    if not _is_valid(account, HUB_USER, credentials.load(file), with_nats=with_nats):
        token = accounts.enroll_hub(accounts_file)
        credentials.save(file, Credentials(username=HUB_USER, token=token))


def _is_valid(
    account: Machine | None, name: str, found: Credentials | None, *, with_nats: bool
) -> bool:
    return (
        account is not None
        and (bool(account.nats) or not with_nats)
        and found is not None
        and found.username == name
        and tokens.verify(found.token.encode(), account.token_sha256)
    )
