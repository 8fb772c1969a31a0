"""Accounts and credentials made together, for the nodes of this machine."""

from pathlib import Path

from broker import accounts, credentials, tokens
from broker.credentials import Credentials


def ensure(accounts_file: Path, node: str, file: Path) -> bool:
    """Enroll `node` with credentials in `file`, unless they are valid; return whether it did."""
    account = accounts.load(accounts_file).nodes.get(node)
    found = credentials.load(file)
    if (
        account is not None
        and found is not None
        and found.username == node
        and tokens.is_right(found.token.encode(), account.token_sha256)
    ):
        return False
    token = accounts.enroll(accounts_file, node)
    credentials.save(file, Credentials(username=node, token=token))
    return True
