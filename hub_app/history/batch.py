"""Decoding of queued payloads into the batch that the next commit stores. It knows no database."""

import logging
from collections.abc import Iterable

import msgspec

from bus.config.limits_table import LimitsConfig
from bus.contract.messages import Heartbeat, Message, Reading, decode
from bus.contract.topics import Topic, TopicKind, parse
from bus.errors import BadDataError
from bus.limited_log import LimitedLog
from hub_app.history.decode import RefusedReading, decode_readings
from hub_app.history.events import Event, EventDetector
from hub_app.history.inbox import Payload, node_of
from hub_app.history.retention.heartbeats import HeartbeatDownsampler, HeartbeatMeans
from hub_app.history.writer import Arrival
from hub_app.quota.rate import RateQuota
from hub_app.quota.refusals import Reason, Refusals

logger = logging.getLogger(__name__)

# A full batch is committed at once, so that a backlog comes in fast. Some 0.2 s of work, since each
# commit waits for the disk.
FULL_BATCH = 8000

STORED_KINDS = frozenset({TopicKind.READING, TopicKind.BACKLOG})
_EVENT_KINDS = frozenset({TopicKind.STATUS, TopicKind.HEARTBEAT, TopicKind.PLUGIN})
# All that the history takes.
KINDS = STORED_KINDS | _EVENT_KINDS


class Batch(msgspec.Struct, frozen=True):
    """Readings to store, readings refused by the decoder, and events, in order of arrival.

    `heartbeats`: those means that are due.
    """

    arrivals: list[Arrival]
    refused: list[RefusedReading]
    events: list[Event]
    heartbeats: list[HeartbeatMeans] = []


class BatchBuilder:
    """Collects decoded payloads until the batch is taken. Used by one thread."""

    def __init__(
        self, limits: LimitsConfig | None = None, refusals: Refusals | None = None
    ) -> None:
        limits = limits or LimitsConfig()
        self._refusals = refusals or Refusals()
        self._log = LimitedLog(logger)
        self._events = RateQuota(limits.events_per_minute)
        self._detector = EventDetector(limits)
        self._heartbeats = HeartbeatDownsampler(limits.nodes)
        self._batch = Batch([], [], [])

    @property
    def is_full(self) -> bool:
        return len(self._batch.arrivals) >= FULL_BATCH

    def add(self, payloads: Iterable[Payload], now_ms: int) -> None:
        for text, payload, message in payloads:
            try:
                if type(message) is Reading:
                    self._batch.arrivals.append(Arrival(message, is_late=False))
                elif type(message) is Heartbeat:
                    self._add_heartbeat(node_of(text), message, now_ms)
                else:
                    self._add(parse(text), payload, message, now_ms)
            except BadDataError:
                # The live state counts and logs these.
                continue
            except Exception:  # noqa: BLE001 - no message may end the history's thread
                key = text[:200]
                self._log.exception(key, "the history failed at a message on %s", key)

    def add_event(self, event: Event) -> None:
        self._batch.events.append(event)

    def take(self, now_ms: int, *, is_last: bool = False) -> Batch:
        """Return the batch with the nodes that have fallen silent, and begin an empty one."""
        self._add_events(self._detector.sweep(now_ms), now_ms)
        batch, self._batch = self._batch, Batch([], [], [])
        due = self._heartbeats.take(now_ms, is_last=is_last)
        return msgspec.structs.replace(batch, heartbeats=due)

    def _add(self, topic: Topic, payload: bytes, message: Message | None, now_ms: int) -> None:
        if not payload:
            # A retained topic was emptied; what is stored of it stays.
            return
        if topic.kind in STORED_KINDS:
            readings, refused = decode_readings(topic, payload)
            is_late = topic.kind is TopicKind.BACKLOG
            self._batch.arrivals.extend(Arrival(reading, is_late) for reading in readings)
            self._batch.refused.extend(refused)
        elif topic.kind in _EVENT_KINDS:
            message = message or decode(topic, payload)
            if isinstance(message, Heartbeat):
                self._add_heartbeat(topic.node, message, now_ms)
            else:
                self._add_events(self._detector.on_message(topic, message, now_ms), now_ms)

    def _add_heartbeat(self, node: str, heartbeat: Heartbeat, now_ms: int) -> None:
        self._heartbeats.add(node, heartbeat, now_ms)
        self._add_events(self._detector.on_heartbeat(node, heartbeat, now_ms), now_ms)

    def _add_events(self, events: Iterable[Event], now_ms: int) -> None:
        for event in events:
            if self._events.admits(event.node, now_ms):
                self._batch.events.append(event)
            else:
                self._refusals.count(event.node, Reason.EVENTS, f"{event.kind} {event.subject}")
