"""Letting people in: whose password is right gets a session. No HTTP here."""

import logging
from collections.abc import Callable, Sequence

from broker.auth.gate import Role
from bus.errors import BadDataError, UnavailableError
from hub_app.login.attempts import Attempts
from hub_app.login.people import People
from hub_app.login.sessions import Sessions, Visitor

logger = logging.getLogger(__name__)

# Checking one password takes a CPU a while: who comes when so many wait is sent away.
_MAX_CHECKING = 8


class WrongPasswordError(BadDataError):
    """Nobody has this name and this password."""


class TooManyAttemptsError(UnavailableError):
    """This address has to wait for `wait_s` seconds before it may try again."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many attempts: try again in {wait_s:.0f} s")
        self.wait_s = wait_s


class LogIn:
    """The sessions of all who logged in, and the way to become one of them."""

    def __init__(self, people: Sequence[People], monotonic_s: Callable[[], float]) -> None:
        self._people = people
        self._monotonic_s = monotonic_s
        self._sessions = Sessions()
        self._attempts = Attempts()
        self._checking = 0

    async def enter(self, address: str, name: str, password: str) -> str:
        """Return the token of a new session.

        Raises WrongPasswordError or TooManyAttemptsError. What was typed is not logged then: people
        type passwords into the wrong field.
        """
        # Taken before the check, so that many at once are no more than one after the other.
        wait_s = self._attempts.take(address, self._monotonic_s())
        if wait_s > 0:
            raise TooManyAttemptsError(wait_s)
        self.refresh()
        role = await self._role(name, password)
        if role is None:
            logger.warning("refused a log-in from %s", address)
            raise WrongPasswordError("wrong name or password")
        self._attempts.forgive(address)
        logger.info("%s logged in from %s", name, address)
        return self._sessions.open(Visitor(name, role), self._monotonic_s())

    def visitor(self, token: str) -> Visitor | None:
        return self._sessions.find(token, self._monotonic_s())

    def leave(self, token: str) -> None:
        self._sessions.close(token)

    def refresh(self) -> None:
        """End the sessions of everyone whose account is gone or was replaced."""
        for people in self._people:
            for name in people.changed():
                self._sessions.close_all_of(name)

    async def _role(self, name: str, password: str) -> Role | None:
        if self._checking >= _MAX_CHECKING:
            raise TooManyAttemptsError(1.0)
        self._checking += 1
        try:
            # Everyone is asked, whatever the others said: an answer's time tells nothing.
            roles = [await people.verify(name, password) for people in self._people]
        finally:
            self._checking -= 1
        return next((role for role in roles if role is not None), None)
