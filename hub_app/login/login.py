"""Log-in of people: a right password opens a session. It knows no HTTP."""

import logging
from collections.abc import Callable, Sequence

from broker.auth.gate import Role
from broker.auth.password_check import PasswordCheck
from bus.errors import BadDataError
from hub_app.login.people import People
from hub_app.login.sessions import Sessions, Visitor

logger = logging.getLogger(__name__)


class WrongPasswordError(BadDataError):
    """No person has this name and this password."""


class LogIn:
    """Log-in and log-out, and the open sessions."""

    def __init__(
        self, people: Sequence[People], check: PasswordCheck, monotonic_s: Callable[[], float]
    ) -> None:
        self._people = people
        self._check = check
        self._monotonic_s = monotonic_s
        self._sessions = Sessions()

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

    def visitor(self, token: str) -> Visitor | None:
        return self._sessions.find(token, self._monotonic_s())

    def leave(self, token: str) -> None:
        self._sessions.close(token)

    def refresh(self) -> None:
        """End the sessions of people whose account was deleted or replaced."""
        for people in self._people:
            for name in people.changed():
                self._sessions.close_all_of(name)

    async def _role(self, name: str, password: str) -> Role | None:
        # All are checked, even after a match: the response time must not reveal which one matched.
        roles = [await people.verify(name, password) for people in self._people]
        return next((role for role in roles if role is not None), None)
