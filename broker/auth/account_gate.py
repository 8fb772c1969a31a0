"""Gate of the embedded broker: authentication by the accounts file, authorization by roles.

Everything but the hashing of passwords runs on the broker's event loop.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from broker.auth import acl, tokens
from broker.auth.accounts import HUB_USER, LOCAL_USER, AccountsFile
from broker.auth.gate import Attempt, Identity, Role, local_role
from broker.auth.password_check import PasswordCheck, TooManyAttemptsError
from bus.client.login import doctor_client_id
from bus.config.broker_table import LocalAccess
from bus.config.homeassistant_table import DEFAULT_PREFIX
from bus.contract.topics import TopicKind, parse
from bus.errors import BadTopicError

logger = logging.getLogger(__name__)


class AccountGate:
    """Authenticates the accounts in the file at `path`, and local clients as `allow_local` says.

    `hub_token` is the token of the hub's own client, `prefix` that of Home Assistant's topics.
    `on_revoked` is called with the name of an account that was removed or replaced. Raises
    MisconfiguredError where the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        check: PasswordCheck,
        *,
        hub_token: str | None,
        allow_local: LocalAccess,
        prefix: str = DEFAULT_PREFIX,
    ) -> None:
        self._prefix = prefix
        self._hub_hash = tokens.hash_token(hub_token.encode()) if hub_token else None
        role = local_role(allow_local)
        self._local = None if role is None else Identity(LOCAL_USER, role)
        self._check = check
        self._file = AccountsFile(path)
        self.on_revoked: Callable[[str], object] = lambda _name: None

    async def authenticate(self, attempt: Attempt) -> Identity | None:
        """Return the client's identity, or None. A login must be right even on this machine."""
        if attempt.username is None:
            is_free = attempt.is_local and attempt.password is None
            return self._local if is_free and not _is_node(attempt) else None
        if attempt.certificate_name not in (None, attempt.username):
            return None
        self.refresh()
        password = attempt.password or b""
        # The secret's shape decides the check, so refusals do not reveal which users exist.
        if tokens.is_token(password):
            return self._check_token(attempt.username, attempt.client_id, password)
        return await self._check_password(attempt.username, attempt.address, password)

    @property
    def generation(self) -> int:
        return self._file.generation

    def may_publish(self, identity: Identity, topic: str) -> bool:
        return self._is_known(identity) and acl.may_publish(identity, topic, self._prefix)

    def may_subscribe(self, identity: Identity, topic_filter: str) -> bool:
        return self._is_known(identity) and acl.may_subscribe(identity, topic_filter, self._prefix)

    def may_receive(self, identity: Identity, topic: str) -> bool:
        return self._is_known(identity) and acl.may_receive(identity, topic, self._prefix)

    def refresh(self) -> None:
        """Read the file again if it has changed, and report every account that was revoked."""
        for name in sorted(self._file.refresh()):
            logger.info("the account of %s was revoked or replaced", name)
            self.on_revoked(name)

    def _is_known(self, identity: Identity) -> bool:
        """Whether the account still exists: it may be revoked while its owner connects."""
        if identity.role is Role.NODE:
            return identity.name in self._file.accounts.nodes
        return (
            identity.name in (LOCAL_USER, HUB_USER) or identity.name in self._file.accounts.people
        )

    def _check_token(self, name: str, client_id: str, token: bytes) -> Identity | None:
        if name == HUB_USER:
            role, expected = Role.HUB, self._hub_hash
        else:
            account = self._file.accounts.nodes.get(name)
            role, expected = Role.NODE, account.token_sha256 if account else None
        if not tokens.verify(token, expected):
            return None
        is_doctor = role is Role.NODE and client_id == doctor_client_id(name)
        if client_id != name and not is_doctor:
            return None
        return Identity(name, role)

    async def _check_password(self, name: str, address: str, password: bytes) -> Identity | None:
        try:
            person = await self._check.run(
                address, name, lambda: self._file.authenticate(name, password)
            )
        except TooManyAttemptsError:
            return None
        return None if person is None else Identity(name, person.role)


def _is_node(attempt: Attempt) -> bool:
    """Whether the client announces a node's end in its last will: it has lost its credentials.

    As a local operator it would be let in, and nothing that it publishes would arrive.
    """
    try:
        topic = parse(attempt.will_topic or "")
    except BadTopicError:
        return False
    return topic.kind is TopicKind.STATUS
