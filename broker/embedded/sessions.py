"""All sessions, of clients that are there and of those that may come back."""

from collections.abc import Callable, Iterator

from broker.auth.gate import Identity, Role, session_key
from broker.embedded.arrival import Arrival
from broker.embedded.router import Router
from broker.embedded.session import ClientSession
from broker.embedded.statistics import Counters, Refusal
from broker.embedded.store.queue_records import new_delivery, restore
from broker.embedded.store.records import StoredSession
from broker.embedded.store.store import Store
from bus.clock import now_ms
from bus.config.broker_table import BrokerConfig


class Sessions:
    """Opens, keeps and forgets sessions. Each is one user's: see `broker.auth.gate.session_key`."""

    def __init__(
        self, settings: BrokerConfig, store: Store, router: Router, counters: Counters
    ) -> None:
        self._settings = settings
        self._store = store
        self._router = router
        self._counters = counters
        self._by_key: dict[str, ClientSession] = {}

    def __iter__(self) -> Iterator[ClientSession]:
        return iter(tuple(self._by_key.values()))

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> ClientSession | None:
        return self._by_key.get(key)

    def load(self, stored: dict[str, StoredSession]) -> None:
        """Take over what the store had."""
        for key, kept in stored.items():
            identity = _identity(key, kept.client_id)
            if identity is None:
                self._store.drop_session(key)
                continue
            session = self._new(key, kept.client_id, identity, is_kept=True)
            session.left_ms = kept.left_ms
            for lost in restore(session.delivery, kept.messages):
                self._store.drop_message(key, lost.row)
            for text, qos in kept.subscriptions.items():
                self._router.tree.add(text, session, qos)

    def open(
        self, arrival: Arrival, take_over: Callable[[ClientSession], None]
    ) -> tuple[ClientSession, bool] | None:
        """Return the session for a client and whether it was there; None: there is no room.

        `take_over` ends the connection that has the session now (MQTT-3.1.4-2).
        """
        connect, identity = arrival.connect, arrival.identity
        key = session_key(identity, connect.client_id)
        last = self._by_key.get(key)
        if last is not None and last.handler is not None:
            take_over(last)
            # A clean session went with its connection.
            last = self._by_key.get(key)
        if last is not None and connect.clean_session:
            self.forget(last)
            last = None
        if last is None:
            session = self._new(key, connect.client_id, identity, is_kept=not connect.clean_session)
        else:
            session = last
            self._router.withdraw_forbidden(session)
        if session.is_kept and not self._keep(session, None):
            self.forget(session)
            return None
        return session, last is not None

    def leave(self, session: ClientSession) -> None:
        """The session's connection has ended."""
        session.handler = None
        if not session.is_kept:
            self.forget(session)
            return
        session.left_ms = now_ms()
        self._store.put_session(session.key, str(session.client_id), session.left_ms)

    def forget(self, session: ClientSession) -> None:
        self._by_key.pop(session.key, None)
        self._router.tree.remove_client(session)
        self._store.drop_session(session.key)

    def expire(self) -> None:
        """Forget whose client has stayed away too long."""
        for key in self._store.expire(now_ms()):
            self._counters.clients_expired += 1
            session = self._by_key.get(key)
            if session is not None:
                self.forget(session)

    def _new(self, key: str, client_id: str, identity: Identity, *, is_kept: bool) -> ClientSession:
        delivery = new_delivery(self._settings)
        session = ClientSession(key, client_id, identity, delivery, is_kept=is_kept)
        self._by_key[key] = session
        return session

    def _keep(self, session: ClientSession, left_ms: int | None) -> bool:
        """Store a session; for want of room in place of the same user's longest absent one."""
        session.left_ms = left_ms
        client_id = str(session.client_id)
        if self._store.put_session(session.key, client_id, left_ms):
            return True
        absent = [other for other in self if other.left_ms is not None]
        own = [other for other in absent if other.identity == session.identity]
        if not own:
            return False
        self._counters.refuse(Refusal.SESSIONS)
        self.forget(min(own, key=lambda other: other.left_ms or 0))
        return self._store.put_session(session.key, client_id, left_ms)


def _identity(key: str, client_id: str) -> Identity | None:
    """Return whose session has that key: the reverse of `broker.auth.gate.session_key`."""
    role, _, name = key.removesuffix(f":{client_id}").partition(":")
    return Identity(name, Role(role)) if role in set(Role) else None
