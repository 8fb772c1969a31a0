"""People who may log in to the page: the operator of [web] password, and account holders."""

import hashlib
import hmac
import logging
from pathlib import Path
from typing import Protocol

from broker.auth.accounts import AccountsFile
from broker.auth.gate import Role
from bus.errors import MisconfiguredError
from bus.files import private_file

logger = logging.getLogger(__name__)

# The user whose password is in the file that [web] password names.
OPERATOR = "operator"
_MIN_CHARS = 8


class People(Protocol):
    """A source of people who may log in."""

    async def verify(self, name: str, password: str) -> Role | None:
        """Return the person's role, or None. An unknown name takes the same time as a known one."""

    def changed(self) -> set[str]:
        """Return the names whose account was deleted or replaced since the last call."""


class OnePassword:
    """The operator, with the password that a file held when the hub started."""

    def __init__(self, password: bytes) -> None:
        self._digest = hashlib.sha256(password).digest()

    async def verify(self, name: str, password: str) -> Role | None:
        found = hashlib.sha256(_encoded(password)).digest()
        is_right = hmac.compare_digest(found, self._digest)
        return Role.OPERATOR if is_right and name == OPERATOR else None

    def changed(self) -> set[str]:
        return set()


def read_password(path: Path) -> OnePassword:
    """Return the password in `path`. Raises MisconfiguredError, which does not reveal it."""
    try:
        password = private_file.read(path).strip()
    except FileNotFoundError as e:
        # The path is not named: the key may hold the password itself by mistake.
        raise MisconfiguredError(
            "web.password: found no such file; expected the path of a file, mode 0600, that holds "
            "the password"
        ) from e
    try:
        length = len(password.decode())
    except UnicodeDecodeError as e:
        raise MisconfiguredError(f"{path}: found no UTF-8, expected a password") from e
    if length < _MIN_CHARS:
        raise MisconfiguredError(
            f"{path}: found a password of {length} characters, expected at least {_MIN_CHARS}"
        )
    return OnePassword(password)


class AccountHolders:
    """The people in the accounts file at `path`, which other programs change.

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
