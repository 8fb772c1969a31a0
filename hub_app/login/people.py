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
from bus.files.file_stamp import stamp_of

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
    """The operator, with one password."""

    def __init__(self, password: bytes) -> None:
        self._digest = hashlib.sha256(password).digest()

    async def verify(self, name: str, password: str) -> Role | None:
        found = hashlib.sha256(_encoded(password)).digest()
        is_right = hmac.compare_digest(found, self._digest)
        return Role.OPERATOR if is_right and name == OPERATOR else None

    def changed(self) -> set[str]:
        return set()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OnePassword) and hmac.compare_digest(self._digest, other._digest)

    __hash__ = None  # type: ignore[assignment]


class PasswordFile:
    """The operator, with the password in the file at `path`, which may be replaced.

    Raises MisconfiguredError where the file cannot be used at the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = stamp_of(path)
        self._current = read_password(path)

    async def verify(self, name: str, password: str) -> Role | None:
        return await self._current.verify(name, password)

    def changed(self) -> set[str]:
        """Read the file again if it was replaced. A broken file changes nothing."""
        stamp = stamp_of(self._path)
        if stamp == self._stamp:
            return set()
        self._stamp = stamp
        try:
            found = read_password(self._path)
        except MisconfiguredError as e:
            logger.error("the password stays as it was: %s", e)  # noqa: TRY400 - the text has the cause
            return set()
        is_same, self._current = found == self._current, found
        return set() if is_same else {OPERATOR}


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
        if not any(_may_log_in(person.role) for person in self._file.accounts.people.values()):
            logger.warning("nobody can log in yet: `harvester passwd NAME` makes an account")

    async def verify(self, name: str, password: str) -> Role | None:
        person = await self._file.authenticate(name, _encoded(password))
        return person.role if person is not None and _may_log_in(person.role) else None

    def changed(self) -> set[str]:
        return self._file.refresh()


def _may_log_in(role: Role) -> bool:
    """Whether an account is for the page, too: a program's or device's is for the broker alone."""
    return role in (Role.OPERATOR, Role.VIEWER)


def _encoded(password: str) -> bytes:
    return password.encode(errors="surrogatepass")
