"""The accounts that the hub knows: one file in its state directory, closed to everyone else.

It holds hashes, no secret that would let anyone in. Each is kept twice: for the embedded broker,
and as Mosquitto keeps it, for a broker that stands in its place.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import msgspec

from broker.auth import passwords, tokens
from broker.auth.gate import Role
from bus import private_file
from bus.clock import now_ms
from bus.contract.topics import NAME_PATTERN, is_name
from bus.errors import MisconfiguredError

# A node's name has no underscore, so nothing else can be called that.
HUB_USER = "hub_app"
LOCAL_USER = "local"

logger = logging.getLogger(__name__)

PersonRole = Literal[Role.OPERATOR, Role.VIEWER]
# Argon2 takes any length; what is longer than a broker's packet can't be sent.
_LONGEST_PASSWORD = 1024


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who shows a token: a node, or the hub itself. The hashes are in no text of it."""

    token_sha256: str
    mosquitto: str
    since_ms: int

    def __repr__(self) -> str:
        return f"Machine(since_ms={self.since_ms})"


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who types a password. The hashes are in no text of it."""

    role: Role
    argon2: str
    mosquitto: str
    since_ms: int

    def __post_init__(self) -> None:
        if self.role not in get_args(PersonRole):
            raise ValueError(f"found {self.role}, expected a person's role")

    def __repr__(self) -> str:
        return f"Person({self.role!r}, since_ms={self.since_ms})"


class Accounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everyone who may come in, by name. `hub` has an account with an external broker only."""

    nodes: dict[str, Machine] = {}
    people: dict[str, Person] = {}
    hub: Machine | None = None

    def changed_since(self, earlier: "Accounts") -> set[str]:
        """Return the names whose account is gone or another one."""
        return {
            *(name for name, found in earlier.nodes.items() if self.nodes.get(name) != found),
            *(name for name, found in earlier.people.items() if self.people.get(name) != found),
        }


def load(path: Path) -> Accounts:
    """Return what the file holds; no accounts where there is none.

    Raises MisconfiguredError where it is open to others, cannot be read or holds something else.
    """
    try:
        return msgspec.json.decode(private_file.read(path), type=Accounts)
    except FileNotFoundError:
        return Accounts()
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise MisconfiguredError(f"{path}: found no accounts: {e}; restore or remove it") from e


# What a file was when it was read: modified at (ns), inode, bytes. None: there is none.
_Version = tuple[int, int, int] | None


class AccountsFile:
    """The accounts at `path` as a running program follows them; other programs change them.

    Raises MisconfiguredError where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = self._look()
        self.accounts = load(path)

    def refresh(self) -> set[str]:
        """Read the file again if it is another one; return whose account is gone or replaced.

        A broken file changes nothing. It is a small one on this machine's disk: not worth a thread.
        """
        version = self._look()
        if version == self._version:
            return set()
        self._version = version
        try:
            found = load(self._path)
        except MisconfiguredError as e:
            logger.error("the accounts stay as they were: %s", e)  # noqa: TRY400 - says it all
            return set()
        before, self.accounts = self.accounts, found
        return found.changed_since(before)

    async def authenticate(self, name: str, password: bytes) -> Person | None:
        """Return the person with that name and password, or None; it takes equally long.

        Takes some 0.05 s and 19 MB in a thread: see `broker.auth.password_check`.
        """
        account = self.accounts.people.get(name)
        expected = account.argon2 if account else None
        is_right = await asyncio.to_thread(passwords.is_right, password, expected)
        # The account may have been revoked while the password was being checked.
        return account if is_right and self.accounts.people.get(name) == account else None

    def _look(self) -> _Version:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


def enroll(path: Path, node: str) -> str:
    """Make or replace the account of `node`; return its token, which is kept nowhere."""
    _check_name(node, "node")
    token = tokens.make()

    def add(accounts: Accounts) -> Accounts:
        if node in accounts.people:
            raise MisconfiguredError(f"{node} is a person's account; expected another node id")
        nodes = {**accounts.nodes, node: _machine(token)}
        return msgspec.structs.replace(accounts, nodes=nodes)

    _change(path, add)
    return token


def enroll_hub(path: Path) -> str:
    """Make or replace the hub's own account with an external broker; return its token."""
    token = tokens.make()
    _change(path, lambda accounts: msgspec.structs.replace(accounts, hub=_machine(token)))
    return token


def revoke(path: Path, name: str) -> None:
    """Remove a node's or a person's account. Raises MisconfiguredError where there is none."""

    def remove(accounts: Accounts) -> Accounts:
        if name not in accounts.nodes and name not in accounts.people:
            raise MisconfiguredError(f"{path}: found no account {name!r}")
        nodes = {key: value for key, value in accounts.nodes.items() if key != name}
        people = {key: value for key, value in accounts.people.items() if key != name}
        return msgspec.structs.replace(accounts, nodes=nodes, people=people)

    _change(path, remove)


def set_password(path: Path, name: str, role: PersonRole, password: str) -> None:
    """Make or replace a person's account. Takes some 0.2 s."""
    _check_name(name, "person")
    if not password or len(password) > _LONGEST_PASSWORD or tokens.is_token(password.encode()):
        raise MisconfiguredError(
            f"the password of {name}: expected 1 to {_LONGEST_PASSWORD} characters, and no token"
        )
    iterations = tokens.MOSQUITTO_PASSWORD_ITERATIONS
    person = Person(
        role, passwords.hashed(password), tokens.mosquitto_hash(password, iterations), now_ms()
    )

    def add(accounts: Accounts) -> Accounts:
        if name in accounts.nodes:
            raise MisconfiguredError(f"{name} is a node's account; expected another name")
        return msgspec.structs.replace(accounts, people={**accounts.people, name: person})

    _change(path, add)


def _change(path: Path, change: Callable[[Accounts], Accounts]) -> None:
    with private_file.locked(path):
        private_file.write(path, msgspec.json.format(msgspec.json.encode(change(load(path)))))


def _machine(token: str) -> Machine:
    return Machine(tokens.hashed(token.encode()), tokens.mosquitto_hash(token), now_ms())


def _check_name(name: str, what: str) -> None:
    if not is_name(name) or name == LOCAL_USER:
        raise MisconfiguredError(
            f"found {name!r}, expected a name for a {what}: {NAME_PATTERN}, not {LOCAL_USER}"
        )
