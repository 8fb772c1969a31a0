"""Index of the sessions in the store, without the payloads: what there is, and what has room."""

from collections import Counter

from broker.embedded.outgoing.waiting import BURST_MESSAGES
from broker.embedded.store.records import StoredSession
from bus.clock import DAY_MS
from bus.config.broker_table import BrokerConfig

_BYTES_PER_MB = 1024 * 1024


class KeptSession:
    """The rows of one session."""

    def __init__(self, key: str, client_id: str, left_ms: int | None, expiry_s: int | None) -> None:
        # See `broker.auth.gate.session_key`.
        self.user = key.removesuffix(f":{client_id}")
        self.client_id = client_id
        self.left_ms = left_ms
        self.expiry_s = expiry_s
        self.filters: set[str] = set()
        # The size of each message by its id.
        self.messages: dict[int, int] = {}
        self.unreleased: set[int] = set()


class SessionIndex:
    """Sessions by their key, and their limits: in all, for each user and for each session."""

    def __init__(self, settings: BrokerConfig) -> None:
        self.by_key: dict[str, KeptSession] = {}
        self.messages = 0
        self.size_bytes = 0
        self._bytes_of_user: Counter[str] = Counter()
        self._max_sessions = settings.sessions
        self._max_messages = settings.queued_messages + settings.in_flight
        self._max_bytes = settings.queued_mb * _BYTES_PER_MB
        self._max_user_bytes = settings.queued_mb_per_user * _BYTES_PER_MB
        self._max_absence_ms = settings.session_days * DAY_MS

    @property
    def is_full(self) -> bool:
        return len(self.by_key) >= self._max_sessions

    @property
    def last_message_id(self) -> int:
        ids = (message_id for kept in self.by_key.values() for message_id in kept.messages)
        return max(ids, default=0)

    def load(self, key: str, session: StoredSession) -> None:
        """Add a session of the file with its rows."""
        kept = self.by_key[key] = KeptSession(
            key, session.client_id, session.left_ms, session.expiry_s
        )
        kept.filters.update(session.subscriptions)
        kept.unreleased.update(session.unreleased)
        kept.messages.update((m.message_id, m.size_bytes) for m in session.messages)
        self.messages += len(kept.messages)
        self._count_bytes(kept, sum(kept.messages.values()))

    def put_message(
        self, kept: KeptSession, message_id: int, size_bytes: int, *, may_exceed: bool
    ) -> bool | None:
        """Count a message, or its new size; say whether it is new, None where there is no room.

        With `may_exceed`, the session may have more than its limit: see `Delivery.put`.
        """
        had = kept.messages.get(message_id)
        if had is None and not self._has_room(kept, size_bytes, may_exceed=may_exceed):
            return None
        if had != size_bytes:
            kept.messages[message_id] = size_bytes
            self.messages += had is None
            self._count_bytes(kept, size_bytes - (had or 0))
        return had is None

    def drop_message(self, kept: KeptSession, message_id: int) -> bool:
        """Uncount a message; say whether there was one."""
        size = kept.messages.pop(message_id, None)
        if size is None:
            return False
        self.messages -= 1
        self._count_bytes(kept, -size)
        return True

    def expired(self, now_ms: int) -> list[str]:
        """Return the keys of sessions whose clients were absent for too long."""
        return [
            key
            for key, kept in self.by_key.items()
            if kept.left_ms is not None and now_ms - kept.left_ms > self._absence_ms(kept)
        ]

    def _absence_ms(self, kept: KeptSession) -> float:
        """Return the longest absence of a session's client."""
        if kept.expiry_s is None:
            return self._max_absence_ms
        return min(self._max_absence_ms, kept.expiry_s * 1000)

    def _has_room(self, kept: KeptSession, size: int, *, may_exceed: bool) -> bool:
        most = self._max_messages * BURST_MESSAGES if may_exceed else self._max_messages
        return (
            len(kept.messages) < most
            and self.size_bytes + size <= self._max_bytes
            and self._bytes_of_user[kept.user] + size <= self._max_user_bytes
        )

    def _count_bytes(self, kept: KeptSession, size: int) -> None:
        self.size_bytes += size
        self._bytes_of_user[kept.user] += size
        if not self._bytes_of_user[kept.user]:
            del self._bytes_of_user[kept.user]
