"""Store: retained messages, kept sessions and last wills, on the disk for the next start.

Nothing blocks but `load`. A kill at any moment loses at most what was put within the last commit
interval, and the last minute's changes of a retained message that changes all the time.
"""

import contextlib
import itertools
import logging
from pathlib import Path

from broker.embedded.store.file import StoreFile
from broker.embedded.store.message_row import row_of
from broker.embedded.store.records import Contents, StoredMessage, StoredWill
from broker.embedded.store.retained_rows import RetainedRows
from broker.embedded.store.rows import Rows
from broker.embedded.store.session_index import KeptSession, SessionIndex
from broker.embedded.store.will_rows import WillRows
from broker.embedded.store.writer import Durable
from broker.embedded.topics.grant import Grant
from broker.embedded.topics.retained import Retained
from broker.retained_source import RetainedSource
from bus.config.broker_table import BrokerConfig
from bus.errors import UnavailableError

logger = logging.getLogger(__name__)

FILE_NAME = "broker.sqlite3"


class Store:
    """Mirrors the broker's retained messages and sessions to a file. For the event loop's thread.

    Limits: a session beyond `sessions` is refused, and so is a message beyond `queued_mb_per_user`
    or `queued_mb` of all, or beyond what a session's queue can hold. No client's rows make room for
    another's. A session whose client is absent for `session_days` is in `expired`.
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
        self._file = None if directory is None else StoreFile(directory / FILE_NAME)
        self._rows = Rows(self._file)
        self._retained = RetainedRows(self._rows, settings.retained_messages, source)
        self._wills = WillRows(self._rows)
        self._index = SessionIndex(settings)
        self._sessions = self._index.by_key
        self._ids = itertools.count(1)

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
            self._index.load(key, session)
        contents.retained = self._retained.load(contents.retained, now_ms)
        self._wills.load(contents.wills)
        self._ids = itertools.count(self._index.last_message_id + 1)
        return contents

    def start(self) -> None:
        """Start the writer thread, which answers in the running event loop."""
        self._rows.start()
        self._retained.start()

    async def stop(self) -> None:
        """Write all rows and close the file. Stopping twice is fine."""
        self._retained.put_delayed()
        await self._rows.stop()

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    @property
    def messages(self) -> int:
        """The number of queued messages."""
        return self._index.messages

    @property
    def size_bytes(self) -> int:
        """Bytes of topics and payloads of the queued messages."""
        return self._index.size_bytes

    @property
    def failures(self) -> int:
        """The number of commits that the disk refused."""
        return self._rows.failures

    @property
    def pending(self) -> int:
        """The number of rows that are not on the disk yet."""
        return self._rows.pending + self._retained.delayed

    def new_message_id(self) -> int:
        """Return an id greater than all before, also before the last restart."""
        return next(self._ids)

    def put_retained(self, topic: str, message: Retained | None) -> Durable | None:
        """Write a topic's retained message, or delete it: see `RetainedRows.put`."""
        return self._retained.put(topic, message)

    def write_delayed(self, now_s: float) -> None:
        """Write the delayed rows, once in a while. Call it regularly; `now_s` is monotonic."""
        self._retained.write_delayed(now_s)

    def put_will(self, key: str, kept: StoredWill) -> None:
        """Keep the will of a connected client, or one that waits. The session need not be kept."""
        self._wills.put(key, kept)

    def drop_will(self, key: str) -> None:
        """Remove a will that was published or cancelled; none is fine."""
        self._wills.drop(key)

    def put_session(
        self, key: str, client_id: str, left_ms: int | None, expiry_s: int | None = None
    ) -> bool:
        """Keep a session, or change the time at which it was left; False where there is no room.

        `key` is what `broker.auth.gate.session_key` gives, `expiry_s` the session expiry interval.
        """
        kept = self._sessions.get(key)
        is_new = kept is None
        if kept is None and self._index.is_full:
            return False
        if kept is None:
            kept = self._sessions[key] = KeptSession(key, client_id, left_ms, expiry_s)
        kept.left_ms, kept.expiry_s = left_ms, expiry_s
        self._rows.put("sessions", (key,), (key, client_id, left_ms, expiry_s), is_new=is_new)
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
        self._rows.put("sessions", (key,), None, is_urgent=True)

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
        return self._rows.put("subscriptions", row_key, row, is_new=is_new, is_urgent=True)

    def drop_subscription(self, key: str, topic_filter: str) -> Durable | None:
        """Remove a subscription; None where nothing is kept of it."""
        kept = self._sessions.get(key)
        if kept is None or topic_filter not in kept.filters:
            return None
        kept.filters.discard(topic_filter)
        return self._rows.put("subscriptions", (key, topic_filter), None, is_urgent=True)

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
        message_id, size = message.message_id, message.size_bytes
        is_new = self._index.put_message(kept, message_id, size, may_exceed=may_exceed)
        if is_new is None:
            return None
        row = row_of(key, message)
        return self._rows.put("messages", (message_id,), row, is_new=is_new, is_urgent=is_urgent)

    def drop_message(self, key: str, message_id: int) -> None:
        """Remove a message that was acknowledged or given up."""
        kept = self._sessions.get(key)
        if kept is not None and self._index.drop_message(kept, message_id):
            self._rows.drop("messages", (message_id,))

    def together(self) -> contextlib.AbstractContextManager[object]:
        """Write all that is put within the block in one commit."""
        return self._rows.together()

    def put_unreleased(self, key: str, packet_id: int) -> Durable | None:
        """Keep the packet id of an incoming message of QoS 2; None where its session is not kept.

        Put it together with the message, so that neither is on the disk without the other.
        """
        kept = self._sessions.get(key)
        if kept is None:
            return None
        kept.unreleased.add(packet_id)
        return self._rows.put("unreleased", (key, packet_id), (key, packet_id), is_urgent=True)

    def drop_unreleased(self, key: str, packet_id: int) -> Durable | None:
        """Remove a packet id, which its client uses again once it knows of it."""
        kept = self._sessions.get(key)
        if kept is None:
            return None
        kept.unreleased.discard(packet_id)
        return self._rows.put("unreleased", (key, packet_id), None, is_urgent=True)

    def expired(self, now_ms: int) -> list[str]:
        """Return the keys of sessions whose clients were absent for too long."""
        return self._index.expired(now_ms)

    async def flush(self) -> bool:
        """Wait until every row is on the disk; return False where the disk refused one."""
        self._retained.put_delayed()
        return await self._rows.flush()
