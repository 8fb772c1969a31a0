"""Deliverer: the way of a message into one client's queue, onto the disk and out of both."""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from broker.embedded.counters import Counters
from broker.embedded.outgoing.entry import Entry
from broker.embedded.packets.model import NO_PROPERTIES, ReasonCode
from broker.embedded.session import ClientSession
from broker.embedded.store.queue_records import stored
from broker.embedded.store.store import Store
from broker.embedded.store.writer import Durable
from bus.clock import now_ms
from bus.limited_log import LimitedLog

# A client that has acknowledged something within that time takes its messages.
TAKING_S = 1.0
# Queued messages that a client takes within the time of a commit, in windows.
_PROMPT_WINDOWS = 8


class Passed(msgspec.Struct, gc=False):
    """What a message's publisher waits for.

    `durable`: the writes before its acknowledgement. `room`: the queues that it has filled, before
    the acknowledgement and before its next message. `reason` is what a client of MQTT 5 is told.
    """

    durable: list[Durable] = []
    room: list[asyncio.Future[bool]] = []
    reason: ReasonCode = ReasonCode.SUCCESS

    def waits(self) -> list[asyncio.Future[bool]]:
        """Return all that the acknowledgement waits for."""
        return self.durable + self.room

    def wait_for(self, room: asyncio.Future[bool] | None) -> None:
        if room is not None:
            self.room.append(room)


class Deliverer:
    """Hands messages to sessions: written at once, queued, or dropped for lack of room."""

    def __init__(
        self, store: Store, counters: Counters, log: LimitedLog, *, stalled_s: float
    ) -> None:
        self._store = store
        self._counters = counters
        self._log = log
        # Sessions for which publishers wait: their progress, and since when it is unchanged.
        self._full: dict[ClientSession, tuple[int, float]] = {}
        self._stalled_s = stalled_s

    def deliver(self, session: ClientSession, entry: Entry, passed: Passed) -> None:
        """Pass a message on to a session; QoS 0 is for connected clients only."""
        link = session.link
        qos = entry.message.qos
        if link is None and not qos:
            return
        is_stored = session.is_kept and qos
        if is_stored:
            entry.message_id, entry.queued_ms = self._store.new_message_id(), now_ms()
        elif entry.message.properties is not NO_PROPERTIES:
            entry.queued_ms = now_ms()
        packet_id = None if link is None else link.reserve(entry)
        durable = self._put_in_store(session, entry, packet_id) if is_stored else None
        if durable is not None:
            passed.durable.append(durable)
        elif is_stored and link is None:
            self._drop(session, [entry])
            return
        if link is not None and packet_id is not None:
            link.write(entry, packet_id, durable)
            return
        self._queue(session, entry, passed)

    def _queue(self, session: ClientSession, entry: Entry, passed: Passed) -> None:
        dropped = session.delivery.put(entry, may_exceed=session.is_connected)
        if dropped:
            self._drop(session, dropped)
        if session.link is not None:
            session.link.send_due()
        if entry.message.qos and entry.publisher:
            room = session.room_for(entry.publisher)
            if room is not None:
                self._full.setdefault(session, (session.progress, time.monotonic()))
                passed.room.append(room)

    def _put_in_store(
        self, session: ClientSession, entry: Entry, packet_id: int | None
    ) -> Durable | None:
        """Store a message; None without room: it is passed on to a connected client only."""
        durable = self._store.put_message(
            session.key,
            stored(entry, packet_id),
            is_urgent=entry.message.qos == 2 or not _is_prompt(session),
            may_exceed=session.is_connected,
        )
        if durable is None:
            entry.message_id = 0
        return durable

    def close_stalled(self) -> None:
        """Cut off the clients that hold publishers back and have taken nothing for `stalled_s`."""
        for session, (progress, since_s) in tuple(self._full.items()):
            if session.link is None or not session.holds_publishers:
                del self._full[session]
            elif session.progress != progress:
                self._full[session] = (session.progress, time.monotonic())
            elif time.monotonic() - since_s >= self._stalled_s:
                del self._full[session]
                session.link.overflow()

    def _drop(self, session: ClientSession, entries: Sequence[Entry]) -> None:
        self._counters.publish_dropped += len(entries)
        for entry in entries:
            self._store.drop_message(session.key, entry.message_id)
        if session.link is None:
            self._log.warning("queue full", "%r is offline and its queue is full", session.key)
        elif any(entry.message.qos for entry in entries):
            session.link.overflow()

    def acknowledged(self, session: ClientSession, packet_id: int) -> bool:
        """Remove a message of QoS 1 that was acknowledged; say whether there is one."""
        return self._delivered(session, session.delivery.acknowledge(packet_id))

    def completed(self, session: ClientSession, packet_id: int) -> bool:
        """Remove a message of QoS 2 whose handshake has ended; say whether there is one."""
        return self._delivered(session, session.delivery.complete(packet_id))

    def refused(self, session: ClientSession, packet_id: int) -> None:
        """Remove a message that its receiver does not take: a PUBREC with an error of MQTT 5."""
        self._delivered(session, session.delivery.discard(packet_id))

    def _delivered(self, session: ClientSession, entry: Entry | None) -> bool:
        if entry is None:
            return False
        session.progress += 1
        session.acknowledged_s = time.monotonic()
        if entry.message_id:
            self._store.drop_message(session.key, entry.message_id)
        return True


def _is_prompt(session: ClientSession) -> bool:
    """Whether a client has probably acknowledged a message before that would be written."""
    if not session.is_connected:
        return False
    delivery = session.delivery
    if not delivery.waiting:
        return True
    is_taking = time.monotonic() - session.acknowledged_s < TAKING_S
    return is_taking and delivery.waiting <= _PROMPT_WINDOWS * delivery.window
