"""Gates for tests: authentication by one password, authorization by a prefix of topics."""

from broker.auth.gate import Attempt, Identity, Role
from tests.support import OpenGate


class Passwords(OpenGate):
    """Lets in whoever's password is `right`; without a user name nobody."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    async def authenticate(self, attempt: Attempt) -> Identity | None:
        self.attempts.append(attempt)
        if attempt.password != b"right" or attempt.username is None:
            return None
        return Identity(attempt.username, Role.NODE)


class OwnTopics(OpenGate):
    """Lets everyone in by client id; each may use `<name>/...`, and read `all/...` too.

    Whoever is called `boss` may do everything. `revoked` may do nothing any more.
    """

    def __init__(self) -> None:
        self.revoked: set[str] = set()

    @property
    def generation(self) -> int:
        return len(self.revoked)

    async def authenticate(self, attempt: Attempt) -> Identity | None:
        return Identity(attempt.username or attempt.client_id, Role.NODE)

    def may_publish(self, identity: Identity, topic: str) -> bool:
        return self._owns(identity, topic)

    def may_subscribe(self, identity: Identity, topic_filter: str) -> bool:
        return self._owns(identity, topic_filter) or topic_filter.startswith(("all/", "+/"))

    def may_receive(self, identity: Identity, topic: str) -> bool:
        return self._owns(identity, topic) or topic.startswith("all/")

    def _owns(self, identity: Identity, topic: str) -> bool:
        if identity.name in self.revoked:
            return False
        return identity.name == "boss" or topic.startswith(f"{identity.name}/")
