"""Gate of the embedded broker: authentication by the accounts file, authorization by roles.

Everything but the hashing of passwords runs on the broker's event loop.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from broker.auth import acl, tokens
from broker.auth.accounts import HUB_USER, LOCAL_USER, AccountsFile
from broker.auth.gate import Attempt, Identity, Role, identity_of, local_role
from broker.auth.open_topics import Scope
from broker.auth.password_check import PasswordCheck, TooManyAttemptsError
from bus.client.login import doctor_client_id
from bus.config.broker_table import LocalAccess
from bus.contract.topics import TopicKind, parse
from bus.errors import BadTopicError

logger = logging.getLogger(__name__)

_DEFAULT_SCOPE = Scope()


class AccountGate:
    """Authenticates the accounts in the file at `path`, and local clients as `allow_local` says.

    `hub_token` is the token of the hub's own client. `scope` has no patterns: the accounts have
    them. `on_revoked` is called with the name of an account that was removed or replaced. Raises
    MisconfiguredError where the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        check: PasswordCheck,
        *,
        hub_token: str | None,
        allow_local: LocalAccess,
        scope: Scope = _DEFAULT_SCOPE,
    ) -> None:
        self._scope = scope
        self._hub_hash = tokens.hash_token(hub_token.encode()) if hub_token else None
        role = local_role(allow_local)
        self._local = None if role is None else Identity(LOCAL_USER, role)
        self._check = check
        self._file = AccountsFile(path)
        # Not a property: it is compared three times a message.
        self.generation = self._file.generation
        self.on_revoked: Callable[[str], object] = lambda _name: None

    async def authenticate(self, attempt: Attempt) -> Identity | None:
        """Return the client's identity, or None. A login must be right even on this machine.

        Raises TooManyAttemptsError while too many passwords wait to be checked.
        """
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
        return await self._check_password(attempt, attempt.username, password)

    def may_publish(self, identity: Identity, topic: str) -> bool:
        scope = self._scope_of(identity)
        return scope is not None and acl.may_publish(identity, topic, scope)

    def may_subscribe(self, identity: Identity, topic_filter: str) -> bool:
        scope = self._scope_of(identity)
        return scope is not None and acl.may_subscribe(identity, topic_filter, scope)

    def may_receive(self, identity: Identity, topic: str) -> bool:
        scope = self._scope_of(identity)
        return scope is not None and acl.may_receive(identity, topic, scope)

    def refresh(self) -> None:
        """Read the file again if it has changed, and report every account that was revoked."""
        revoked = self._file.refresh()
        self.generation = self._file.generation
        for name in sorted(revoked):
            logger.info("the account of %s was revoked or replaced", name)
            self.on_revoked(name)

    def _scope_of(self, identity: Identity) -> Scope | None:
        """Return the scope of an account; None: it was revoked, maybe while its owner connects."""
        if identity.role is Role.NODE:
            return self._scope if identity.name in self._file.accounts.nodes else None
        if identity.name in (LOCAL_USER, HUB_USER):
            return self._scope
        person = self._file.accounts.people.get(identity.name)
        if person is None or person.role is not identity.role:
            return None
        if not person.topics:
            return self._scope
        return Scope(self._scope.prefix, self._scope.open_roots, person.topics)

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

    async def _check_password(
        self, attempt: Attempt, name: str, password: bytes
    ) -> Identity | None:
        try:
            person = await self._check.run(
                attempt.address,
                name,
                lambda: self._file.authenticate(name, password),
                lambda: self._file.recall(name, password),
            )
        except TooManyAttemptsError as e:
            if e.is_queue_full:
                # Many devices return at once: a right password must not be called wrong.
                raise
            return None
        return None if person is None else identity_of(name, person.role, attempt.client_id)


def _is_node(attempt: Attempt) -> bool:
    """Whether the client announces a node's end in its last will: it has lost its credentials.

    As a local operator it would be let in, and nothing that it publishes would arrive.
    """
    try:
        topic = parse(attempt.will_topic or "")
    except BadTopicError:
        return False
    return topic.kind is TopicKind.STATUS
