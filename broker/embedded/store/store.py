"""What outlives the broker: retained messages and the sessions of clients that want theirs kept.

The broker decides what is kept and tells it here as it happens; nothing here blocks but `load`.
A kill at any moment loses at most what was put within the last commit interval, and of a retained
message that changes all the time its changes of the last minute.
"""

import asyncio
import itertools
import logging
import time
from pathlib import Path

from broker.embedded.store.file import Row, StoreFile
from broker.embedded.store.records import Contents, StoredMessage, StoredSession
from broker.embedded.store.write_throttle import INTERVAL_S, write_throttle
from broker.embedded.store.writer import Settled, StoreWriter
from broker.embedded.topics.retained import Retained
from bus.config.broker_table import BrokerConfig
from bus.errors import UnavailableError

__all__ = ["Contents", "Store", "StoredMessage", "StoredSession"]

logger = logging.getLogger(__name__)

FILE_NAME = "broker.sqlite3"
_MS_PER_DAY = 86_400_000
_BYTES_PER_MB = 1024 * 1024


class _Kept:
    """What the file has of one session, without the payloads."""

    def __init__(self, client_id: str, left_ms: int | None) -> None:
        self.client_id = client_id
        self.left_ms = left_ms
        self.filters: set[str] = set()
        # The size of each message by its id.
        self.messages: dict[int, int] = {}


class Store:
    """Mirrors the broker's retained messages and sessions to a file. For the event loop's thread.

    Bounds: a session beyond `sessions`, and a message beyond `queued_messages` and `in_flight` of
    its session or `queued_mb` of all, is refused and counted; what a client has is not pushed out
    by another. A session whose client stays away for `session_days` goes (`expire`).
    """

    def __init__(self, directory: Path | None, settings: BrokerConfig) -> None:
        """Without a directory nothing is written, and all counts as being on the disk at once."""
        self._file = None if directory is None else StoreFile(directory / FILE_NAME)
        self._writer: StoreWriter | None = None
        self._most_sessions = settings.sessions
        self._most_messages = settings.queued_messages + settings.in_flight
        self._most_bytes = settings.queued_mb * _BYTES_PER_MB
        self._age_ms = settings.session_days * _MS_PER_DAY
        self._sessions: dict[str, _Kept] = {}
        self._retained: set[str] = set()
        self._throttle = write_throttle(settings.retained_messages)
        # Rows of retained messages that are written with the next ones.
        self._late: dict[str, Row] = {}
        self._late_s = time.monotonic()
        self._ids = itertools.count(1)
        self._messages = 0
        self._bytes = 0
        self.refused_sessions = 0
        self.refused_messages = 0

    def load(self, now_ms: int) -> Contents:
        """Return what the file holds, every session as left by `now_ms`. Blocks; call it first.

        Raises MisconfiguredError where the file may not be used. Where the disk does not let it
        be read right now, that is logged, and the store begins empty.
        """
        if self._file is None:
            return Contents()
        try:
            contents = self._file.load()
        except UnavailableError as e:
            logger.error("%s: the broker starts without retained messages and sessions", e)  # noqa: TRY400 - the disk is to blame, no line of ours
            return Contents()
        for key, session in contents.sessions.items():
            session.left_ms = now_ms if session.left_ms is None else session.left_ms
            self._index(key, session)
        self._retained = {message.topic for message in contents.retained}
        ids = (message_id for kept in self._sessions.values() for message_id in kept.messages)
        self._ids = itertools.count(max(ids, default=0) + 1)
        return contents

    def start(self) -> None:
        """Begin to write, in the running event loop."""
        if self._file is not None:
            self._writer = StoreWriter(self._file)

    async def stop(self) -> None:
        """Write what waits and close the file. Twice is fine."""
        if self._writer is not None:
            self._write_late()
            await self._writer.stop()

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    @property
    def messages(self) -> int:
        """Messages that wait for a session."""
        return self._messages

    @property
    def size_bytes(self) -> int:
        """Topics and payloads of these messages."""
        return self._bytes

    @property
    def failures(self) -> int:
        """Commits that the disk refused."""
        return self._writer.failures if self._writer else 0

    @property
    def pending(self) -> int:
        """Rows that are not on the disk yet."""
        return self._writer.pending + len(self._late) if self._writer else 0

    def new_message_id(self) -> int:
        """Return an id greater than all before, also before the last restart."""
        return next(self._ids)

    def put_retained(self, topic: str, message: Retained | None) -> Settled:
        """Write a topic's retained message, or with None that it has none any more.

        The future of one that changes all the time is True at once: see `write_throttle`.
        """
        is_new = topic not in self._retained
        self._late.pop(topic, None)
        if message is None:
            self._retained.discard(topic)
            self._throttle.fill(topic)
            return self._put("retained", (topic,), None)
        self._retained.add(topic)
        row = (topic, message.payload, message.qos, message.stored_ms)
        wait_s = self._throttle.take(topic, time.monotonic())
        if self._writer is None or is_new or not wait_s:
            return self._put("retained", (topic,), row, is_new=is_new)
        self._late[topic] = row
        return _settled()

    def tend(self, now_s: float) -> None:
        """Write what was put off, if it is time. `now_s` is monotonic."""
        if now_s - self._late_s >= INTERVAL_S:
            self._late_s = now_s
            self._write_late()

    def put_session(self, key: str, client_id: str, left_ms: int | None) -> bool:
        """Keep a session, or note that its client came (None) or left. False: no room for it.

        `key` is what `broker.auth.gate.session_key` gives.
        """
        kept = self._sessions.get(key)
        if kept is None and len(self._sessions) >= self._most_sessions:
            self.refused_sessions += 1
            return False
        is_new = kept is None
        if kept is None:
            kept = self._sessions[key] = _Kept(client_id, left_ms)
        kept.left_ms = left_ms
        self._put("sessions", (key,), (key, client_id, left_ms), is_new=is_new)
        return True

    def drop_session(self, key: str) -> None:
        """Forget a session, its subscriptions and its messages. One that is not kept is fine."""
        kept = self._sessions.get(key)
        if kept is None:
            return
        for topic_filter in tuple(kept.filters):
            self.drop_subscription(key, topic_filter)
        for message_id in tuple(kept.messages):
            self.drop_message(key, message_id)
        del self._sessions[key]
        self._put("sessions", (key,), None)

    def put_subscription(self, key: str, topic_filter: str, qos: int) -> None:
        """Note a subscription; of a session that is not kept it is not noted."""
        kept = self._sessions.get(key)
        if kept is None:
            return
        is_new = topic_filter not in kept.filters
        kept.filters.add(topic_filter)
        row = (key, topic_filter, qos)
        self._put("subscriptions", (key, topic_filter), row, is_new=is_new)

    def drop_subscription(self, key: str, topic_filter: str) -> None:
        kept = self._sessions.get(key)
        if kept is not None and topic_filter in kept.filters:
            kept.filters.discard(topic_filter)
            self._put("subscriptions", (key, topic_filter), None)

    def put_message(self, key: str, message: StoredMessage) -> Settled | None:
        """Keep a message until it is dropped, or change it (`packet_id`). None: it is refused.

        The future is True once it is on the disk, or was dropped before it had to be.
        """
        kept = self._sessions.get(key)
        if kept is None:
            return None
        size, had = message.size_bytes, kept.messages.get(message.message_id)
        if had is None and not self._has_room(kept, size):
            self.refused_messages += 1
            return None
        kept.messages[message.message_id] = size
        self._messages += had is None
        self._bytes += size - (had or 0)
        return self._put("messages", (message.message_id,), _row(key, message), is_new=had is None)

    def drop_message(self, key: str, message_id: int) -> None:
        """Forget a message that was acknowledged or given up."""
        kept = self._sessions.get(key)
        size = None if kept is None else kept.messages.pop(message_id, None)
        if size is not None:
            self._messages -= 1
            self._bytes -= size
            self._put("messages", (message_id,), None)

    def expire(self, now_ms: int) -> list[str]:
        """Drop the sessions whose clients stayed away too long; return their keys."""
        old = [
            key
            for key, kept in self._sessions.items()
            if kept.left_ms is not None and now_ms - kept.left_ms > self._age_ms
        ]
        for key in old:
            self.drop_session(key)
        return old

    async def flush(self) -> bool:
        """Wait until all that was put is on the disk; False where the disk refuses it."""
        self._write_late()
        return True if self._writer is None else await self._writer.flush()

    def _has_room(self, kept: _Kept, size: int) -> bool:
        return len(kept.messages) < self._most_messages and self._bytes + size <= self._most_bytes

    def _put(self, table: str, key: Row, row: Row | None, *, is_new: bool = False) -> Settled:
        if self._writer is not None:
            return self._writer.put((table, key), row, is_new=is_new)
        return _settled()

    def _write_late(self) -> None:
        late, self._late = self._late, {}
        for topic, row in late.items():
            self._put("retained", (topic,), row)

    def _index(self, key: str, session: StoredSession) -> None:
        kept = self._sessions[key] = _Kept(session.client_id, session.left_ms)
        kept.filters.update(session.subscriptions)
        kept.messages.update((m.message_id, m.size_bytes) for m in session.messages)
        self._messages += len(kept.messages)
        self._bytes += sum(kept.messages.values())


def _settled() -> Settled:
    settled: Settled = asyncio.get_running_loop().create_future()
    settled.set_result(True)
    return settled


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
    )
