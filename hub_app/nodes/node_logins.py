"""Logins of nodes over HTTP: their accounts with the broker, by Basic authentication."""

import base64
import binascii
import time
from pathlib import Path

from starlette.exceptions import HTTPException

from broker.auth import accounts, tokens
from broker.token_bucket import TokenBuckets
from bus.peer_address import network_of

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="node"'}
# Wrong logins from one address before it is refused, and the time until it may try one more.
_WRONG_LOGINS, _WRONG_LOGIN_S, _MAX_ADDRESSES = 10, 10.0, 10_000


class NodeLogins:
    """Checks requests of the nodes with an account in `accounts_path`. It blocks: use a thread."""

    def __init__(self, accounts_path: Path) -> None:
        self._accounts_path = accounts_path
        self._wrong: TokenBuckets[str] = TokenBuckets(
            burst=_WRONG_LOGINS, refill_s=_WRONG_LOGIN_S, keys=_MAX_ADDRESSES
        )

    def check(self, address: str, header: str) -> str:
        """Return the node of a login. Raises HTTPException where the header is none."""
        network, now_s = network_of(address), time.monotonic()
        if self._wrong.wait_s(network, now_s):
            raise HTTPException(429, "too many wrong logins; try again later")
        name, token = _login(header)
        account = accounts.load(self._accounts_path).nodes.get(name)
        if not tokens.verify(token, account.token_sha256 if account else None):
            self._wrong.take(network, now_s)
            raise HTTPException(401, "found no login of a node", _CHALLENGE)
        return name


def _login(header: str) -> tuple[str, bytes]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", b""
    try:
        name, _, token = base64.b64decode(encoded, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return "", b""
    return name.decode(errors="replace"), token
