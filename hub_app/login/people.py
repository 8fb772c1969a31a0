"""Who may log in to the page: the operator of [web] password, and the people with an account."""

import hashlib
import hmac
import logging
from pathlib import Path
from typing import Protocol

from broker.auth.accounts import AccountsFile
from broker.auth.gate import Role
from bus import private_file
from bus.errors import MisconfiguredError

logger = logging.getLogger(__name__)

# The user whose password [web] password holds.
OPERATOR = "operator"
_LEAST_CHARS = 8


class People(Protocol):
    """Some of those who may log in."""

    async def verify(self, name: str, password: str) -> Role | None:
        """Return what the person may do, or None. Takes the same time for a name that is none."""

    def changed(self) -> set[str]:
        """Return whose account is gone or another one since this was asked last."""


class OnePassword:
    """The password of the operator, as a file held it at the start."""

    def __init__(self, password: bytes) -> None:
        self._digest = hashlib.sha256(password).digest()

    async def verify(self, name: str, password: str) -> Role | None:
        found = hashlib.sha256(_encoded(password)).digest()
        is_right = hmac.compare_digest(found, self._digest)
        return Role.OPERATOR if is_right and name == OPERATOR else None

    def changed(self) -> set[str]:
        return set()


def read_password(path: Path) -> OnePassword:
    """Return the password that `path` holds. Raises MisconfiguredError, which tells no password."""
    try:
        password = private_file.read(path).strip()
    except FileNotFoundError as e:
        # What stands in the key may be the password itself.
        raise MisconfiguredError(
            "web.password: found no such file; expected the path of a file, mode 0600, that holds "
            "the password"
        ) from e
    try:
        length = len(password.decode())
    except UnicodeDecodeError as e:
        raise MisconfiguredError(f"{path}: found no UTF-8, expected a password") from e
    if length < _LEAST_CHARS:
        raise MisconfiguredError(
            f"{path}: found a password of {length} characters, expected at least {_LEAST_CHARS}"
        )
    return OnePassword(password)


class AccountHolders:
    """The people in the file at `path`, which other programs change.

    Raises MisconfiguredError where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._file = AccountsFile(path)
        if not self._file.accounts.people:
            logger.warning("nobody can log in yet: `harvester passwd NAME` makes an account")

    async def verify(self, name: str, password: str) -> Role | None:
        person = await self._file.authenticate(name, _encoded(password))
        return None if person is None else person.role

    def changed(self) -> set[str]:
        return self._file.refresh()


def _encoded(password: str) -> bytes:
    return password.encode(errors="surrogatepass")
