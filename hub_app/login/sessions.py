"""Who is logged in. Pure: the clock is handed in. A session is known by a random token alone."""

import hashlib
import secrets
from collections import OrderedDict

import msgspec

from broker.auth.gate import Role

# Beyond this the session that was not used for the longest time goes.
MAX_SESSIONS = 1000
# Unused for a day: nobody looks at that page any more. A wall display uses its own all the time.
IDLE_S = 24 * 3600.0
# At the latest then a person proves once more who they are.
LONGEST_S = 30 * 24 * 3600.0
_TOKEN_BYTES = 32


class Visitor(msgspec.Struct, frozen=True):
    """Who asks: a person's name, empty where nobody has to log in, and what they may do."""

    name: str
    role: Role


# What everyone is where nobody has to log in.
ANYONE = Visitor("", Role.OPERATOR)


class _Session(msgspec.Struct):
    visitor: Visitor
    opened_s: float
    used_s: float

    def is_over(self, now_s: float) -> bool:
        return now_s - self.used_s > IDLE_S or now_s - self.opened_s > LONGEST_S


class Sessions:
    """All open sessions, the one that was used last at the end.

    A token itself is not kept: who reads this memory, or times a look-up, learns none.
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
        """Return whose session this is, and count it as used."""
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
        """End a session. One that is not open is fine."""
        self._open.pop(_key(token), None)

    def close_all_of(self, name: str) -> None:
        """End every session of one person."""
        for key in [key for key, it in self._open.items() if it.visitor.name == name]:
            del self._open[key]


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
