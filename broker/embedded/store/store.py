"""Store: retained messages and kept sessions, on the disk for the next start.

Nothing blocks but `load`. A kill at any moment loses at most what was put within the last commit
interval, and the last minute's changes of a retained message that changes all the time.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from broker.embedded.delivery import BURST_MESSAGES
from broker.embedded.packets.properties import encode_properties
from broker.embedded.store.file import Row, StoreFile
from broker.embedded.store.records import Contents, StoredMessage, StoredSession
from broker.embedded.store.write_throttle import INTERVAL_S, write_throttle
from broker.embedded.store.writer import Durable, StoreWriter
from broker.embedded.topics.grant import Grant
from broker.embedded.topics.retained import Retained, owner_of
from broker.retained_source import RetainedSource
from bus.clock import DAY_MS
from bus.config.broker_table import BrokerConfig
from bus.errors import UnavailableError

logger = logging.getLogger(__name__)

FILE_NAME = "broker.sqlite3"
_BYTES_PER_MB = 1024 * 1024


class _SessionIndex:
    """The rows of one session in the file, without the payloads."""

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


class Store:
    """Mirrors the broker's retained messages and sessions to a file. For the event loop's thread.

    Limits: a session beyond `sessions` is refused, and so is a message beyond `queued_mb_per_user`
    or `queued_mb` of all, or beyond what a session's queue can hold. No client's rows make room for
    another's. A session whose client is absent for `session_days` is removed by `expire`.
    """

    def __init__(
        self,
        directory: Path | None,
        settings: BrokerConfig,
        source: RetainedSource | None = None,
    ) -> None:
        """Without a directory nothing is written, and every row counts as being on the disk.

        Of the topics that `source` keeps, only their names are written.
        """
        self._source = source
        # Retained topics of the source, each with a row without a payload.
        self._named: set[str] = set()
        # Rows to write at the start, by topic: those of an earlier version lose their payloads, and
        # those of values that are gone are deleted.
        self._at_start: dict[str, Row | None] = {}
        self._file = None if directory is None else StoreFile(directory / FILE_NAME)
        self._writer: StoreWriter | None = None
        self._max_sessions = settings.sessions
        self._max_messages = settings.queued_messages + settings.in_flight
        self._max_bytes = settings.queued_mb * _BYTES_PER_MB
        self._max_user_bytes = settings.queued_mb_per_user * _BYTES_PER_MB
        self._max_absence_ms = settings.session_days * DAY_MS
        self._sessions: dict[str, _SessionIndex] = {}
        self._retained: set[str] = set()
        self._throttle = write_throttle(settings.retained_messages)
        # Rows of retained messages that wait for `write_delayed`.
        self._delayed: dict[str, Row] = {}
        self._last_delayed_s = time.monotonic()
        self._ids = itertools.count(1)
        self._messages = 0
        self._bytes = 0
        self._bytes_of_user: Counter[str] = Counter()

    def load(self, now_ms: int) -> Contents:
        """Return the contents of the file, with every session disconnected at `now_ms` at last.

        Blocks; call it before `start`. Where the disk cannot be read right now, that is logged, and
        the store begins empty. Raises MisconfiguredError where the file may not be used.
        """
        if self._file is None:
            return Contents()
        try:
            contents = self._file.load()
        except UnavailableError as e:
            logger.error("%s: the broker starts without retained messages and sessions", e)  # noqa: TRY400 - a fault of the disk
            return Contents()
        for key, session in contents.sessions.items():
            session.left_ms = now_ms if session.left_ms is None else session.left_ms
            self._index(key, session)
        contents.retained = self._with_values(contents.retained, now_ms)
        self._retained = {message.topic for message in contents.retained} - self._named
        ids = (message_id for kept in self._sessions.values() for message_id in kept.messages)
        self._ids = itertools.count(max(ids, default=0) + 1)
        return contents

    def start(self) -> None:
        """Start the writer thread, which answers in the running event loop."""
        if self._file is not None:
            self._writer = StoreWriter(self._file)
        at_start, self._at_start = self._at_start, {}
        for topic, row in at_start.items():
            self._put("retained", (topic,), row)

    async def stop(self) -> None:
        """Write all rows and close the file. Stopping twice is fine."""
        if self._writer is not None:
            self._put_delayed()
            await self._writer.stop()

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    @property
    def messages(self) -> int:
        """The number of queued messages."""
        return self._messages

    @property
    def size_bytes(self) -> int:
        """Bytes of topics and payloads of the queued messages."""
        return self._bytes

    @property
    def failures(self) -> int:
        """The number of commits that the disk refused."""
        return self._writer.failures if self._writer else 0

    @property
    def pending(self) -> int:
        """The number of rows that are not on the disk yet."""
        return self._writer.pending + len(self._delayed) if self._writer else 0

    def new_message_id(self) -> int:
        """Return an id greater than all before, also before the last restart."""
        return next(self._ids)

    def put_retained(self, topic: str, message: Retained | None) -> Durable | None:
        """Write a topic's retained message, or delete it where it is None.

        The future of one that is delayed is True at once: see `write_throttle`. None: nothing is
        written, as the source keeps the message.
        """
        if topic in self._named:
            if message is not None:
                return None
            self._named.discard(topic)
        elif message is not None and self._source is not None and self._source.keeps(topic):
            self._named.add(topic)
            self._put("retained", (topic,), _retained_row(message, b""), is_new=True)
            return None
        is_new = topic not in self._retained
        self._delayed.pop(topic, None)
        if message is None:
            self._retained.discard(topic)
            self._throttle.fill(topic)
            return self._put("retained", (topic,), None, is_urgent=True)
        self._retained.add(topic)
        row = _retained_row(message, message.payload)
        wait_s = self._throttle.take(topic, time.monotonic())
        if self._writer is None or is_new or not wait_s:
            return self._put("retained", (topic,), row, is_new=is_new, is_urgent=True)
        self._delayed[topic] = row
        return _durable()

    def write_delayed(self, now_s: float) -> None:
        """Write the delayed rows, once in `INTERVAL_S`. Call it regularly; `now_s` is monotonic."""
        if now_s - self._last_delayed_s >= INTERVAL_S:
            self._last_delayed_s = now_s
            self._put_delayed()

    def put_session(
        self, key: str, client_id: str, left_ms: int | None, expiry_s: int | None = None
    ) -> bool:
        """Keep a session, or change the time at which it was left; False where there is no room.

        `key` is what `broker.auth.gate.session_key` gives, `expiry_s` the session expiry interval.
        """
        kept = self._sessions.get(key)
        if kept is None and len(self._sessions) >= self._max_sessions:
            return False
        is_new = kept is None
        if kept is None:
            kept = self._sessions[key] = _SessionIndex(key, client_id, left_ms, expiry_s)
        kept.left_ms, kept.expiry_s = left_ms, expiry_s
        self._put("sessions", (key,), (key, client_id, left_ms, expiry_s), is_new=is_new)
        return True

    def drop_session(self, key: str) -> None:
        """Remove a session, its subscriptions and its messages; one that is not kept is fine."""
        kept = self._sessions.get(key)
        if kept is None:
            return
        for topic_filter in tuple(kept.filters):
            self.drop_subscription(key, topic_filter)
        for message_id in tuple(kept.messages):
            self.drop_message(key, message_id)
        for packet_id in tuple(kept.unreleased):
            self.drop_unreleased(key, packet_id)
        del self._sessions[key]
        self._put("sessions", (key,), None, is_urgent=True)

    def put_subscription(self, key: str, topic_filter: str, grant: Grant) -> Durable | None:
        """Keep a subscription; None where its session is not kept."""
        kept = self._sessions.get(key)
        if kept is None:
            return None
        is_new = topic_filter not in kept.filters
        kept.filters.add(topic_filter)
        options = int(grant.no_local), int(grant.retain_as_published)
        row = (key, topic_filter, grant.qos, *options, grant.ids[0] if grant.ids else 0)
        row_key = (key, topic_filter)
        return self._put("subscriptions", row_key, row, is_new=is_new, is_urgent=True)

    def drop_subscription(self, key: str, topic_filter: str) -> Durable | None:
        """Remove a subscription; None where nothing is kept of it."""
        kept = self._sessions.get(key)
        if kept is None or topic_filter not in kept.filters:
            return None
        kept.filters.discard(topic_filter)
        return self._put("subscriptions", (key, topic_filter), None, is_urgent=True)

    def put_message(
        self,
        key: str,
        message: StoredMessage,
        *,
        is_urgent: bool = False,
        may_exceed: bool = False,
    ) -> Durable | None:
        """Keep a message, or change its `packet_id`; None where it is refused.

        One that is not urgent is probably dropped again within a moment. With `may_exceed`, the
        session may have more than its limit: see `Delivery.put`.
        """
        kept = self._sessions.get(key)
        if kept is None:
            return None
        size, had = message.size_bytes, kept.messages.get(message.message_id)
        if had is None and not self._has_room(kept, size, may_exceed=may_exceed):
            return None
        kept.messages[message.message_id] = size
        self._messages += had is None
        self._count_bytes(kept, size - (had or 0))
        row = _row(key, message)
        is_new = had is None
        return self._put("messages", (message.message_id,), row, is_new=is_new, is_urgent=is_urgent)

    def drop_message(self, key: str, message_id: int) -> None:
        """Remove a message that was acknowledged or given up."""
        kept = self._sessions.get(key)
        size = None if kept is None else kept.messages.pop(message_id, None)
        if kept is not None and size is not None:
            self._messages -= 1
            self._count_bytes(kept, -size)
            self._put("messages", (message_id,), None)

    def together(self) -> contextlib.AbstractContextManager[object]:
        """Write all that is put within the block in one commit."""
        return contextlib.nullcontext() if self._writer is None else self._writer.lock

    def put_unreleased(self, key: str, packet_id: int) -> Durable | None:
        """Keep the packet id of an incoming message of QoS 2; None where its session is not kept.

        Put it together with the message, so that neither is on the disk without the other.
        """
        kept = self._sessions.get(key)
        if kept is None:
            return None
        kept.unreleased.add(packet_id)
        return self._put("unreleased", (key, packet_id), (key, packet_id), is_urgent=True)

    def drop_unreleased(self, key: str, packet_id: int) -> Durable | None:
        """Remove a packet id, which its client uses again once it knows of it."""
        kept = self._sessions.get(key)
        if kept is None:
            return None
        kept.unreleased.discard(packet_id)
        return self._put("unreleased", (key, packet_id), None, is_urgent=True)

    def expire(self, now_ms: int) -> list[str]:
        """Remove sessions whose clients were absent for too long; return their keys."""
        old = [
            key
            for key, kept in self._sessions.items()
            if kept.left_ms is not None and now_ms - kept.left_ms > self._absence_ms(kept)
        ]
        for key in old:
            self.drop_session(key)
        return old

    async def flush(self) -> bool:
        """Wait until every row is on the disk; return False where the disk refused one."""
        self._put_delayed()
        return True if self._writer is None else await self._writer.flush()

    def _with_values(self, rows: list[Retained], now_ms: int) -> list[Retained]:
        """Return retained messages, those of the source with its values."""
        source = self._source
        if source is None:
            return rows
        self._named = {row.topic for row in rows if not row.payload or source.keeps(row.topic)}
        try:
            values = source.load(self._named)
        except UnavailableError as e:
            logger.error("%s: the broker starts without retained readings", e)  # noqa: TRY400 - a fault of the disk
            return [row for row in rows if row.topic not in self._named]
        found = (self._with_value(row, values, now_ms) for row in rows)
        return [value for value in found if value is not None]

    def _with_value(
        self, row: Retained, values: Mapping[str, bytes], now_ms: int
    ) -> Retained | None:
        if row.topic not in self._named:
            return row
        value = values.get(row.topic)
        if value is None:
            self._named.discard(row.topic)
            self._at_start[row.topic] = None
            return None
        if row.payload:
            self._at_start[row.topic] = _retained_row(row, b"")
        return msgspec.structs.replace(row, payload=value, stored_ms=now_ms)

    def _absence_ms(self, kept: _SessionIndex) -> float:
        """Return the longest absence of a session's client."""
        if kept.expiry_s is None:
            return self._max_absence_ms
        return min(self._max_absence_ms, kept.expiry_s * 1000)

    def _has_room(self, kept: _SessionIndex, size: int, *, may_exceed: bool) -> bool:
        most = self._max_messages * BURST_MESSAGES if may_exceed else self._max_messages
        return (
            len(kept.messages) < most
            and self._bytes + size <= self._max_bytes
            and self._bytes_of_user[kept.user] + size <= self._max_user_bytes
        )

    def _count_bytes(self, kept: _SessionIndex, size: int) -> None:
        self._bytes += size
        self._bytes_of_user[kept.user] += size
        if not self._bytes_of_user[kept.user]:
            del self._bytes_of_user[kept.user]

    def _put(
        self,
        table: str,
        key: Row,
        row: Row | None,
        *,
        is_new: bool = False,
        is_urgent: bool = False,
    ) -> Durable:
        if self._writer is not None:
            return self._writer.put((table, key), row, is_new=is_new, is_urgent=is_urgent)
        return _durable()

    def _put_delayed(self) -> None:
        delayed, self._delayed = self._delayed, {}
        for topic, row in delayed.items():
            self._put("retained", (topic,), row)

    def _index(self, key: str, session: StoredSession) -> None:
        kept = self._sessions[key] = _SessionIndex(
            key, session.client_id, session.left_ms, session.expiry_s
        )
        kept.filters.update(session.subscriptions)
        kept.unreleased.update(session.unreleased)
        kept.messages.update((m.message_id, m.size_bytes) for m in session.messages)
        self._messages += len(kept.messages)
        self._count_bytes(kept, sum(kept.messages.values()))


def _durable() -> Durable:
    durable: Durable = asyncio.get_running_loop().create_future()
    durable.set_result(True)
    return durable


def _retained_row(message: Retained, payload: bytes) -> Row:
    properties = encode_properties(message.properties) if payload else b""
    # Of a node's own topics it is in the topic.
    owner = "" if message.owner == owner_of(message.topic) else message.owner
    return message.topic, payload, message.qos, message.stored_ms, properties, owner


def _row(key: str, message: StoredMessage) -> Row:
    return (
        message.message_id,
        key,
        message.topic,
        message.payload,
        message.qos,
        int(message.retain),
        message.packet_id,
        message.queued_ms,
        int(message.released),
        encode_properties(message.properties),
    )
