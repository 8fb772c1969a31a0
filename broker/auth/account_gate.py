"""The gate of the embedded broker: the accounts say who it is, the table of roles what they may do.

All of it runs on the broker's event loop, but for the passwords of people.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from broker.auth import acl, tokens
from broker.auth.accounts import HUB_USER, LOCAL_USER, AccountsFile
from broker.auth.gate import Attempt, Identity, Role
from broker.auth.password_check import PasswordCheck, TooManyAttemptsError

logger = logging.getLogger(__name__)

_LOCAL = Identity(LOCAL_USER, Role.OPERATOR)


class AccountGate:
    """Lets in whom the file at `path` names, and whoever asks from this machine if `allow_local`.

    `hub_token` is what the hub's own client shows. `on_revoked` hears the name of an account that
    is gone or was replaced. Raises MisconfiguredError where the file cannot be used.
    """

    def __init__(
        self, path: Path, check: PasswordCheck, *, hub_token: str | None, allow_local: bool
    ) -> None:
        self._hub_hash = tokens.hashed(hub_token.encode()) if hub_token else None
        self._allow_local = allow_local
        self._check = check
        self._file = AccountsFile(path)
        self.on_revoked: Callable[[str], object] = lambda _name: None

    async def identify(self, attempt: Attempt) -> Identity | None:
        """Return who this is, or None. A login that is shown has to be right, wherever from."""
        if attempt.username is None:
            is_free = attempt.is_local and self._allow_local and attempt.password is None
            return _LOCAL if is_free else None
        if attempt.certificate_name not in (None, attempt.username):
            return None
        self.refresh()
        password = attempt.password or b""
        # What is shown decides which check is made, so refusals tell nothing of whom there is.
        if tokens.is_token(password):
            return self._machine(attempt.username, attempt.client_id, password)
        return await self._person(attempt.username, attempt.address, password)

    def may_publish(self, identity: Identity, topic: str) -> bool:
        return self._is_known(identity) and acl.may_publish(identity, topic)

    def may_subscribe(self, identity: Identity, topic_filter: str) -> bool:
        return self._is_known(identity) and acl.may_subscribe(identity, topic_filter)

    def may_receive(self, identity: Identity, topic: str) -> bool:
        return self._is_known(identity) and acl.may_receive(identity, topic)

    def refresh(self) -> None:
        """Read the file again if it is another one, and tell of everyone who is cut off by it."""
        for name in sorted(self._file.refresh()):
            logger.info("the account of %s was revoked or replaced", name)
            self.on_revoked(name)

    def _is_known(self, identity: Identity) -> bool:
        """Whether the account is still there: it may go while its owner is just coming in."""
        if identity.role is Role.NODE:
            return identity.name in self._file.accounts.nodes
        return (
            identity.name in (LOCAL_USER, HUB_USER) or identity.name in self._file.accounts.people
        )

    def _machine(self, name: str, client_id: str, token: bytes) -> Identity | None:
        if name == HUB_USER:
            role, expected = Role.HUB, self._hub_hash
        else:
            account = self._file.accounts.nodes.get(name)
            role, expected = Role.NODE, account.token_sha256 if account else None
        if not tokens.is_right(token, expected) or client_id != name:
            return None
        return Identity(name, role)

    async def _person(self, name: str, address: str, password: bytes) -> Identity | None:
        try:
            person = await self._check.run(
                address, name, lambda: self._file.authenticate(name, password)
            )
        except TooManyAttemptsError:
            return None
        return None if person is None else Identity(name, person.role)
