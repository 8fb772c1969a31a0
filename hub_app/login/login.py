"""Log-in of people and programs, by password and by token. It knows no HTTP."""

import hashlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence

from broker.auth.gate import Role
from broker.auth.password_check import PasswordCheck
from bus.errors import BadDataError
from bus.limited_log import LimitedLog
from hub_app.login.api_tokens import ApiTokens
from hub_app.login.people import People
from hub_app.login.sessions import MAX_SESSIONS, Sessions, Visitor
from hub_app.login.token_uses import TokenUses

logger = logging.getLogger(__name__)


# Wrong tokens share one account in the rate limiter: they name none.
_TOKEN_ACCOUNT = "a token"  # noqa: S105 - no password


class WrongPasswordError(BadDataError):
    """No person has this name and this password, or no program this token."""


class LogIn:
    """Log-in and log-out, and the open sessions."""

    def __init__(
        self,
        people: Sequence[People],
        check: PasswordCheck,
        monotonic_s: Callable[[], float],
        api_tokens: ApiTokens | None = None,
    ) -> None:
        self._people = people
        self._api_tokens = api_tokens
        self.token_uses = TokenUses() if api_tokens is None else api_tokens.uses
        self._reused = _ReusedSessions()
        self._check = check
        self._monotonic_s = monotonic_s
        self._sessions = Sessions()
        self._limited_log = LimitedLog(logger)

    async def enter(self, address: str, name: str, password: str) -> str:
        """Return the token of a new session.

        Raises WrongPasswordError or TooManyAttemptsError. The name is not logged then, because
        people type passwords into the wrong field.
        """
        self.refresh()
        role = await self._check.run(address, name, lambda: self._role(name, password))
        if role is None:
            logger.warning("refused a log-in from %s", address)
            raise WrongPasswordError("wrong name or password")
        logger.info("%s logged in from %s", name, address)
        return self._sessions.open(Visitor(name, role), self._monotonic_s())

    async def enter_again(self, address: str, name: str, password: str) -> str:
        """Return the token of a session, the same one for the same name and password.

        For programs that show both with each request: an Argon2 hash for each costs too much.
        Raises as `enter` does.
        """
        self.refresh()
        token = self._reused.get(name, password)
        if token is None or self.visitor(token) is None:
            token = await self.enter(address, name, password)
            self._reused.put(name, password, token)
        return token

    def enter_by_token(self, address: str, token: str) -> Visitor:
        """Return the visitor of an API token. Raises WrongPasswordError or TooManyAttemptsError.

        Only wrong tokens are limited: 256 random bits cannot be guessed, and whoever shares an
        address with somebody who tries is not shut out.
        """
        visitor = self.token_visitor(token)
        if visitor is None:
            self._check.count_wrong(address, _TOKEN_ACCOUNT)
            self._limited_log.warning("refused tokens", "refused a token from %s", address)
            raise WrongPasswordError("wrong token")
        return visitor

    def token_visitor(self, token: str) -> Visitor | None:
        return self._api_tokens.find(token) if self._api_tokens is not None else None

    def visitor(self, token: str) -> Visitor | None:
        return self._sessions.find(token, self._monotonic_s())

    def leave(self, token: str) -> None:
        self._sessions.close(token)

    def refresh(self) -> None:
        """End the sessions of people whose account was deleted or replaced. Call it regularly."""
        self._limited_log.sweep()
        if self._api_tokens is not None:
            self._api_tokens.refresh()
        for people in self._people:
            for name in people.changed():
                self._sessions.close_all_of(name)

    async def _role(self, name: str, password: str) -> Role | None:
        # All are checked, even after a match: the response time must not reveal which one matched.
        roles = [await people.verify(name, password) for people in self._people]
        return next((role for role in roles if role is not None), None)


class _ReusedSessions:
    """Session tokens by name and password, of which only a keyed hash is stored."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(hashlib.blake2b.MAX_KEY_SIZE)
        self._tokens: OrderedDict[bytes, str] = OrderedDict()

    def get(self, name: str, password: str) -> str | None:
        return self._tokens.get(self._digest(name, password))

    def put(self, name: str, password: str, token: str) -> None:
        self._tokens[self._digest(name, password)] = token
        if len(self._tokens) > MAX_SESSIONS:
            self._tokens.popitem(last=False)

    def _digest(self, name: str, password: str) -> bytes:
        text = f"{len(name)} {name}{password}".encode(errors="surrogatepass")
        return hashlib.blake2b(text, key=self._key).digest()
