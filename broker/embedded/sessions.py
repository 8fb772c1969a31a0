"""Session registry: the sessions of connected clients and those kept for absent ones."""

from collections.abc import Callable, Iterator, Sequence

from broker.auth.gate import Gate, Identity, User, session_key
from broker.embedded.connect.accept import AcceptedConnect
from broker.embedded.counters import Counters, Refusal
from broker.embedded.outgoing.entry import Entry
from broker.embedded.packets.codec import VERSION_5
from broker.embedded.packets.model import Connect
from broker.embedded.router import Router
from broker.embedded.session import ClientSession, Unreleased, identity_of_key
from broker.embedded.store.queue_records import new_delivery, restore
from broker.embedded.store.records import Contents
from broker.embedded.store.store import Store
from broker.embedded.wills import Wills
from bus.clock import now_ms
from bus.config.broker_table import BrokerConfig

# A user has at most one in so many of all kept sessions, and at least so many where there is room.
_SHARE_OF_A_USER = 4
_LEAST_SESSIONS = 2
_DAY_S = 86_400


class Sessions:
    """Opens, keeps and removes sessions, each of one user: see `broker.auth.gate.session_key`."""

    def __init__(
        self,
        settings: BrokerConfig,
        gate: Gate,
        store: Store,
        router: Router,
        counters: Counters,
    ) -> None:
        self._settings = settings
        self._store = store
        self._router = router
        self._counters = counters
        self.wills = Wills(router, gate, store, settings.will_grace_s)
        self._by_key: dict[str, ClientSession] = {}
        # Ordered, so that of several that were left within a millisecond the oldest goes first.
        self._of_user: dict[User, dict[ClientSession, None]] = {}

    def __iter__(self) -> Iterator[ClientSession]:
        return iter(tuple(self._by_key.values()))

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> ClientSession | None:
        return self._by_key.get(key)

    def amounts(self) -> tuple[int, int, int]:
        """Return the messages in flight, those that are queued, and the bytes of these."""
        in_flight = queued = queued_bytes = 0
        for session in self._by_key.values():
            delivery = session.delivery
            # Of thousands of sessions, few have any.
            if not delivery.is_empty:
                in_flight += delivery.in_flight
                queued += delivery.waiting
                queued_bytes += delivery.waiting_bytes
        return in_flight, queued, queued_bytes

    def load(self, contents: Contents, now_s: float) -> None:
        """Restore the sessions and wills of the store. `now_s` is the time of the event loop."""
        self.wills.load(contents.wills, now_s)
        for key, kept in contents.sessions.items():
            identity = identity_of_key(key, kept.client_id)
            if identity is None:
                self._store.drop_session(key)
                continue
            session = self._new(key, kept.client_id, identity, is_kept=True)
            session.left_ms = kept.left_ms
            session.expiry_s = kept.expiry_s
            session.unreleased = dict.fromkeys(kept.unreleased, Unreleased())
            for dropped in restore(session.delivery, kept.messages):
                self._store.drop_message(key, dropped.message_id)
            for text, grant in kept.subscriptions.items():
                self._router.subscriptions.add(text, session, grant)

    def open(
        self, accepted: AcceptedConnect, take_over: Callable[[ClientSession], None]
    ) -> tuple[ClientSession, bool] | None:
        """Return the session of a client and whether it was present; None where there is no room.

        `take_over` ends the connection that the session has now (MQTT-3.1.4-2).
        """
        connect, identity = accepted.connect, accepted.identity
        key = session_key(identity, connect.client_id)
        last = self._by_key.get(key)
        if last is not None and not last.is_connected and not last.has_expired(now_ms()):
            # Also where this client starts anew (MQTT 5, MQTT-3.1.2-8).
            self.wills.cancel(key)
        if last is not None and last.is_connected:
            take_over(last)
            # A clean session ended with its connection.
            last = self._by_key.get(key)
        if last is not None and (connect.clean_session or last.has_expired(now_ms())):
            self.remove(last)
            last = None
        if last is None:
            session = self._new(key, connect.client_id, identity, is_kept=True)
        else:
            session = last
            self._router.drop_forbidden(session)
        self._begin(session, connect)
        if session.is_kept and not self._put_in_store(session, None):
            self.remove(session)
            return None
        self.wills.connected(session, connect.will)
        return session, last is not None

    def _begin(self, session: ClientSession, connect: Connect) -> None:
        """Apply what the CONNECT says to a session that is new or resumed."""
        properties = connect.properties
        session.delivery.window = min(
            self._settings.in_flight, properties.receive_maximum or self._settings.in_flight
        )
        if connect.version >= VERSION_5:
            self.set_expiry(session, properties.session_expiry_s or 0)
        else:
            session.is_kept, session.expiry_s = not connect.clean_session, None
        if not session.is_kept:
            # A session that was kept ends with this connection.
            session.left_ms = None
            self._store.drop_session(session.key)

    def set_expiry(self, session: ClientSession, expiry_s: int) -> None:
        """Set the session expiry interval of MQTT 5, which counts from the connection's end."""
        session.is_kept = expiry_s > 0
        session.expiry_s = min(expiry_s, int(self._settings.session_days * _DAY_S))

    def disconnected(self, session: ClientSession) -> None:
        """Keep or remove a session whose connection has ended."""
        session.link = None
        session.release_publishers()
        self._router.redistribute(session)
        if not session.is_kept:
            self.remove(session)
            return
        session.left_ms = now_ms()
        self._store.put_session(session.key, session.client_id, session.left_ms, session.expiry_s)

    def remove(self, session: ClientSession) -> None:
        """Remove a session with its subscriptions and messages; its will need not wait longer.

        Messages of shared subscriptions go to other members.
        """
        if self._by_key.pop(session.key, None) is not None:
            self.wills.publish(session.key)
            theirs = self._of_user[session.identity.user]
            theirs.pop(session, None)
            if not theirs:
                del self._of_user[session.identity.user]
        # Nothing waits for it any more (MQTT 5, section 4.8.2).
        session.is_kept = False
        self._router.redistribute(session)
        self._router.subscriptions.remove_session(session)
        self._store.drop_session(session.key)

    def expire(self, now_s: float) -> None:
        """Remove sessions whose clients were absent for too long, and messages that expired.

        Publish the wills that are due at `now_s`, the time of the event loop.
        """
        now = now_ms()
        for session in self._by_key.values():
            # Of thousands of sessions, few have any.
            if session.delivery.queue.next_expiry_ms <= now:
                self._drop(session, session.delivery.expire(now))
        self.wills.publish_due(now_s)
        for key in self._store.expired(now):
            self._counters.clients_expired += 1
            expired = self._by_key.get(key)
            if expired is None:
                self._store.drop_session(key)
            else:
                self.remove(expired)

    def _drop(self, session: ClientSession, entries: Sequence[Entry]) -> None:
        """Drop messages that have expired, and let go on whoever waits for their room."""
        self._counters.publish_dropped += len(entries)
        for entry in entries:
            self._store.drop_message(session.key, entry.message_id)
        session.release_publishers()

    def _new(self, key: str, client_id: str, identity: Identity, *, is_kept: bool) -> ClientSession:
        delivery = new_delivery(self._settings)
        session = ClientSession(
            key,
            client_id,
            identity,
            delivery,
            self._router.publish_decisions(identity),
            is_kept=is_kept,
        )
        self._by_key[key] = session
        self._of_user.setdefault(identity.user, {})[session] = None
        return session

    def _put_in_store(self, session: ClientSession, left_ms: int | None) -> bool:
        """Store a session; without room, in place of the same user's longest absent one."""
        session.left_ms = left_ms
        client_id, expiry_s = session.client_id, session.expiry_s
        own = [other for other in self._of_user[session.identity.user] if other.is_kept]
        most = max(_LEAST_SESSIONS, self._settings.sessions // _SHARE_OF_A_USER)
        if len(own) <= most and self._store.put_session(session.key, client_id, left_ms, expiry_s):
            return True
        absent = [other for other in own if other.left_ms is not None]
        if not absent:
            return False
        self._counters.refuse(Refusal.SESSIONS)
        self.remove(min(absent, key=lambda other: other.left_ms or 0))
        return self._store.put_session(session.key, client_id, left_ms, expiry_s)
