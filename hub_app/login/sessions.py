"""Sessions of people who are logged in, each identified by a random token. It reads no clock."""

import hashlib
import secrets
from collections import OrderedDict

import msgspec

from broker.auth.gate import Role

# Above this number, the least recently used session ends.
MAX_SESSIONS = 1000
# A session ends after a day without use; the page of a wall display uses its own all the time.
IDLE_S = 24 * 3600.0
# Even a session in use ends after 30 days, so that its owner logs in again.
MAX_AGE_S = 30 * 24 * 3600.0
_TOKEN_BYTES = 32


class Visitor(msgspec.Struct, frozen=True):
    """A visitor of the page. `name` is empty where nobody has to log in."""

    name: str
    role: Role


# The visitor where nobody has to log in.
ANYONE = Visitor("", Role.OPERATOR)


class _Session(msgspec.Struct):
    visitor: Visitor
    opened_s: float
    used_s: float

    def is_over(self, now_s: float) -> bool:
        return now_s - self.used_s > IDLE_S or now_s - self.opened_s > MAX_AGE_S


class Sessions:
    """All open sessions, the least recently used first.

    Only hashes of tokens are stored: neither this memory nor the time of a look-up reveals a token.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[bytes, _Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, visitor: Visitor, now_s: float) -> str:
        """Return the token of a new session: 256 random bits."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._open[_key(token)] = _Session(visitor, now_s, now_s)
        while len(self._open) > MAX_SESSIONS:
            self._open.popitem(last=False)
        return token

    def find(self, token: str, now_s: float) -> Visitor | None:
        """Return the visitor of a session, and note its use; None where it is over or unknown."""
        key = _key(token)
        session = self._open.get(key)
        if session is None:
            return None
        if session.is_over(now_s):
            del self._open[key]
            return None
        session.used_s = now_s
        self._open.move_to_end(key)
        return session.visitor

    def close(self, token: str) -> None:
        """End a session. An unknown token is ignored."""
        self._open.pop(_key(token), None)

    def close_all_of(self, name: str) -> None:
        """End every session of one person."""
        for key in [key for key, it in self._open.items() if it.visitor.name == name]:
            del self._open[key]


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
