"""Accounts file: nodes, people and the hub, in the hub's state directory, mode 0600.

It holds hashes and no secrets. Each secret has two: for the embedded broker, and in Mosquitto's
format for a broker in its place. One that is made for such a broker has a third, for NATS.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec

from broker.auth import open_topics, passwords, tokens
from broker.auth.gate import Role
from broker.auth.password_check import Result
from broker.auth.password_results import PasswordResults
from bus.clock import DAY_MS, now_ms
from bus.contract.topics import NAME_RULE, is_name
from bus.errors import MisconfiguredError
from bus.files import private_json
from bus.files.file_stamp import stamp_of

# A node's name has no underscore, so nothing else can be called that.
HUB_USER = "hub_app"
LOCAL_USER = "local"


def worker_user(index: int) -> str:
    """Return the name of a hub's worker, which has the token and the rights of the hub."""
    return f"{HUB_USER}-{index}"


logger = logging.getLogger(__name__)

PersonRole = Literal[Role.OPERATOR, Role.VIEWER, Role.INTEGRATION, Role.DEVICE]
TokenRole = Literal[Role.OPERATOR, Role.VIEWER]
# Argon2 takes any length, but a longer password may not fit into a CONNECT.
_MAX_PASSWORD_CHARS = 1024


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Account with a token: a node, or the hub itself. `repr` omits the hashes."""

    token_sha256: str
    mosquitto: str
    since_ms: int
    nats: str = ""

    def __repr__(self) -> str:
        return f"Machine(since_ms={self.since_ms})"


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Account with a password: a person, Home Assistant, or a device. `repr` omits the hashes."""

    role: Role
    argon2: str
    mosquitto: str
    since_ms: int
    nats: str = ""
    # Patterns of open topics: see `broker.auth.open_topics`.
    topics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_role(self.role, get_args(PersonRole))
        _check_topics(self.role, self.topics)

    def __repr__(self) -> str:
        return f"Person({self.role!r}, since_ms={self.since_ms})"


class ApiToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Token of a program that reads over HTTP, or commands. `repr` omits the hash."""

    role: Role
    token_sha256: str
    since_ms: int
    # None: it does not expire.
    expires_ms: int | None = None

    def __post_init__(self) -> None:
        _check_role(self.role, get_args(TokenRole))

    def __repr__(self) -> str:
        return f"ApiToken({self.role!r}, since_ms={self.since_ms})"


class Accounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All accounts by name. `hub` is set with an external broker only; `tokens` are for HTTP."""

    nodes: dict[str, Machine] = {}
    people: dict[str, Person] = {}
    hub: Machine | None = None
    tokens: dict[str, ApiToken] = {}

    def hub_users(self, workers: int = 0) -> dict[str, Machine]:
        """Return the hub's account by the names of the hub and of so many workers."""
        if self.hub is None:
            return {}
        names = (HUB_USER, *(worker_user(index) for index in range(1, workers + 1)))
        return dict.fromkeys(names, self.hub)

    def changed_since(self, earlier: "Accounts") -> set[str]:
        """Return the names of nodes and people whose account was removed or replaced."""
        return {
            *(name for name, found in earlier.nodes.items() if self.nodes.get(name) != found),
            *(name for name, found in earlier.people.items() if self.people.get(name) != found),
        }


def load(path: Path) -> Accounts:
    """Return the accounts in the file; none where it is missing.

    Raises MisconfiguredError where it is open to others, cannot be read or holds something else.
    """
    return private_json.load(
        path, Accounts, Accounts(), what="accounts", remedy="restore or remove it"
    )


class AccountsFile:
    """The accounts at `path`, followed by a running program while others change them.

    Raises MisconfiguredError where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = stamp_of(path)
        self.accounts = load(path)
        # Grows with each change.
        self.generation = 0
        self._results = PasswordResults()

    def refresh(self) -> set[str]:
        """Read the file again if it has changed; return the names that were removed or replaced.

        A broken file changes nothing. The file is small and local: reading it needs no thread.
        """
        stamp = stamp_of(self._path)
        if stamp == self._stamp:
            return set()
        self._stamp = stamp
        try:
            found = load(self._path)
        except MisconfiguredError as e:
            logger.error("the accounts stay as they were: %s", e)  # noqa: TRY400 - the text has the cause
            return set()
        before, self.accounts = self.accounts, found
        self.generation += 1
        return found.changed_since(before)

    async def authenticate(self, name: str, password: bytes) -> Person | None:
        """Return the person with that name and password; None takes equally long.

        Takes some 0.05 s and 19 MB in a thread: see `broker.auth.password_check`.
        """
        account = self.accounts.people.get(name)
        expected = account.argon2 if account else None
        is_right = await asyncio.to_thread(passwords.verify, password, expected)
        self._results.put(name, password, expected, is_right=is_right)
        # The account may have been revoked while the password was being checked.
        return account if is_right and self.accounts.people.get(name) == account else None

    def recall(self, name: str, password: bytes) -> Result[Person] | None:
        """Return the result of `authenticate` with the same password; None: there is none."""
        account = self.accounts.people.get(name)
        is_right = self._results.get(name, password, account.argon2 if account else None)
        return None if is_right is None else Result(account if is_right else None)


def enroll(path: Path, node: str, *, with_nats: bool = False) -> str:
    """Make or replace the account of `node`; return its token, which is not stored."""
    token = tokens.new_token()
    _enroll(path, node, _machine(token, with_nats=with_nats))
    return token


def enroll_hashed(path: Path, node: str, token_sha256: str, mosquitto: str) -> None:
    """Make or replace the account of `node`, which made its token itself and sent its hashes."""
    _enroll(path, node, Machine(token_sha256, mosquitto, now_ms()))


def _enroll(path: Path, node: str, machine: Machine) -> None:
    _check_name(node, "node")

    def add(accounts: Accounts) -> Accounts:
        if node in accounts.people:
            raise MisconfiguredError(f"{node} is a person's account; expected another node id")
        return msgspec.structs.replace(accounts, nodes={**accounts.nodes, node: machine})

    _change(path, add)


def enroll_hub(path: Path) -> str:
    """Make or replace the hub's own account with an external broker; return its token."""
    token = tokens.new_token()
    machine = _machine(token, with_nats=True)
    _change(path, lambda accounts: msgspec.structs.replace(accounts, hub=machine))
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


def add_token(path: Path, name: str, role: TokenRole, days: int | None = None) -> str:
    """Make or replace the API token called `name`; return it. Only its hash is stored.

    It expires after so many `days`, None being never.
    """
    _check_name(name, "token")
    token = tokens.new_token()
    since_ms = now_ms()
    expires_ms = None if days is None else since_ms + days * DAY_MS
    made = ApiToken(role, tokens.hash_token(token.encode()), since_ms, expires_ms)

    def add(accounts: Accounts) -> Accounts:
        return msgspec.structs.replace(accounts, tokens={**accounts.tokens, name: made})

    _change(path, add)
    return token


def revoke_token(path: Path, name: str) -> None:
    """Remove an API token. Raises MisconfiguredError where there is none."""

    def remove(accounts: Accounts) -> Accounts:
        if name not in accounts.tokens:
            raise MisconfiguredError(f"{path}: found no token {name!r}")
        rest = {key: value for key, value in accounts.tokens.items() if key != name}
        return msgspec.structs.replace(accounts, tokens=rest)

    _change(path, remove)


def set_password(  # noqa: PLR0913 - all that an account is made of
    path: Path,
    name: str,
    role: PersonRole,
    password: str,
    *,
    topics: Sequence[str] = (),
    with_nats: bool = False,
) -> None:
    """Make or replace a person's account. Takes about 0.2 s, `with_nats` twice that.

    `topics` are patterns of open topics, for roles that have any.
    """
    _check_name(name, "person")
    try:
        _check_topics(role, topics)
    except ValueError as e:
        raise MisconfiguredError(f"the account {name}: {e}") from e
    if not password or len(password) > _MAX_PASSWORD_CHARS or tokens.is_token(password.encode()):
        raise MisconfiguredError(
            f"the password of {name}: expected 1 to {_MAX_PASSWORD_CHARS} characters, and no token"
        )
    iterations = tokens.MOSQUITTO_PASSWORD_ITERATIONS
    person = Person(
        role,
        passwords.hash_password(password),
        tokens.mosquitto_hash(password, iterations),
        now_ms(),
        passwords.nats_hash(password, is_token=False) if with_nats else "",
        tuple(topics),
    )

    def add(accounts: Accounts) -> Accounts:
        if name in accounts.nodes:
            raise MisconfiguredError(f"{name} is a node's account; expected another name")
        return msgspec.structs.replace(accounts, people={**accounts.people, name: person})

    _change(path, add)


def _change(path: Path, change: Callable[[Accounts], Accounts]) -> None:
    private_json.change(path, load, change)


def _machine(token: str, *, with_nats: bool) -> Machine:
    return Machine(
        tokens.hash_token(token.encode()),
        tokens.mosquitto_hash(token),
        now_ms(),
        passwords.nats_hash(token, is_token=True) if with_nats else "",
    )


def _check_name(name: str, what: str) -> None:
    if not is_name(name) or name == LOCAL_USER:
        raise MisconfiguredError(
            f"found {name!r}, expected a name for a {what} of {NAME_RULE}, not {LOCAL_USER}"
        )


def _check_role(role: Role, allowed: Sequence[Role]) -> None:
    if role not in allowed:
        raise ValueError(f"found {role}, expected {' or '.join(allowed)}")


def _check_topics(role: Role, topics: Sequence[str]) -> None:
    if topics and role not in open_topics.DEFAULTS:
        allowed = " or ".join(open_topics.DEFAULTS)
        raise ValueError(f"found topics of a {role}, expected them of {allowed} alone")
    open_topics.check_patterns(topics)
