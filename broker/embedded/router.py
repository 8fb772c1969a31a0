"""Router: subscriptions, retained messages, and the way of a message into each client's queue.

It asks the gate about each message, and hands what must survive a restart to the store.
"""

import itertools
from collections.abc import Iterator, Sequence

from broker.auth.gate import Gate
from broker.embedded.counters import Counters, Refusal
from broker.embedded.delivery import Entry
from broker.embedded.packets.decode import Publish
from broker.embedded.packets.encode import SUBSCRIPTION_FAILED
from broker.embedded.session import ClientSession
from broker.embedded.store.queue_records import stored
from broker.embedded.store.store import Store
from broker.embedded.store.writer import Durable
from broker.embedded.topics.names import valid_filter
from broker.embedded.topics.retained import Outcome, Retained, RetainedMessages
from broker.embedded.topics.tree import TopicTree
from bus.clock import now_ms
from bus.config.broker_table import BrokerConfig
from bus.limited_log import LimitedLog

# MQTT allows a broker to grant less than was asked for (MQTT-3.8.4-6).
_MAX_QOS = 1
# The `$SYS` topics: about sixty short ones.
_MAX_SYS_TOPICS = 1_000
_MAX_SYS_BYTES = 1024 * 1024


class Router:
    """Passes each message on to the clients that subscribed to it and may receive it."""

    def __init__(
        self, settings: BrokerConfig, gate: Gate, store: Store, counters: Counters, log: LimitedLog
    ) -> None:
        self._counters = counters
        self.tree: TopicTree[ClientSession] = TopicTree()
        self.retained = RetainedMessages.bounded_by(settings)
        self._sys_messages = RetainedMessages(
            messages=_MAX_SYS_TOPICS, size_bytes=_MAX_SYS_BYTES, age_ms=float("inf")
        )
        self._max_subscriptions = settings.subscriptions_per_client
        self._gate = gate
        self._store = store
        self._log = log

    def publish_for(self, session: ClientSession, message: Publish) -> Sequence[Durable]:
        """Pass on a client's message; return the writes that its acknowledgement waits for.

        A message that it may not publish is dropped and acknowledged: MQTT 3.1.1 has no refusal but
        closing the connection (MQTT-3.3.5-2), and a node that is wrong about one topic is still
        useful for all others.
        """
        if not self._gate.may_publish(session.identity, message.topic):
            self._counters.refuse(Refusal.PUBLISH)
            self._counters.publish_dropped += 1
            self._log.warning(
                "publish refused", "%r may not publish to %r", session.key, message.topic
            )
            return ()
        return self.publish(message)

    def publish(self, message: Publish) -> Sequence[Durable]:
        """Pass a message on to all subscribers, and retain it where its flag says so."""
        durable: list[Durable] = []
        if message.retain:
            self._retain(message, durable)
        copies = [_copy(message, qos) for qos in range(min(message.qos, _MAX_QOS) + 1)]
        for session, granted in self.tree.match(message.topic).items():
            copy = copies[min(granted, len(copies) - 1)]
            if self._gate.may_receive(session.identity, message.topic):
                self._deliver(session, copy, durable)
        return durable

    def publish_sys(self, topics: dict[str, bytes]) -> None:
        """Publish those of the `$SYS` topics that have changed."""
        for topic, payload in topics.items():
            last = self._sys_messages.get(topic)
            if last is None or last.payload != payload:
                self._sys_messages.set(topic, payload, 0, 0)
                self.publish(Publish(topic, payload, 0, retain=False, packet_id=0))

    def subscribe(
        self, session: ClientSession, filters: Sequence[tuple[str, int]]
    ) -> tuple[list[int], Iterator[Publish]]:
        """Return a SUBACK code for each filter, and the matching retained messages."""
        codes = [self._grant(session, text, qos) for text, qos in filters]
        granted = [
            (text, code)
            for (text, _), code in zip(filters, codes, strict=True)
            if code != SUBSCRIPTION_FAILED
        ]
        found = (self._retained_for(session, text, qos) for text, qos in granted)
        return codes, itertools.chain.from_iterable(found)

    def unsubscribe(self, session: ClientSession, filters: Sequence[str]) -> None:
        for text in filters:
            self.tree.remove(text, session)
            self._store.drop_subscription(session.key, text)

    def acknowledged(self, session: ClientSession, packet_id: int) -> None:
        """Remove a message that its receiver has acknowledged."""
        entry = session.delivery.acknowledge(packet_id)
        if entry is not None:
            self._store.drop_message(session.key, entry.message_id)

    def expire(self) -> None:
        """Delete retained messages that were not changed for `retained_days`."""
        for topic in self.retained.expire(now_ms()):
            self._store.put_retained(topic, None)

    def drop_forbidden(self, session: ClientSession) -> None:
        """Drop queued messages that a returning client may not receive any more."""
        dropped = session.delivery.remove_unless(
            lambda entry: self._gate.may_receive(session.identity, entry.message.topic)
        )
        for entry in dropped:
            self._store.drop_message(session.key, entry.message_id)

    def _grant(self, session: ClientSession, text: str, qos: int) -> int:
        cause = self._refusal(session, text)
        if cause is not None:
            self._counters.refuse(cause)
            self._log.warning(
                "subscription refused", "%r may not subscribe to %r (%s)", session.key, text, cause
            )
            return SUBSCRIPTION_FAILED
        granted = min(qos, _MAX_QOS)
        self.tree.add(text, session, granted)
        self._store.put_subscription(session.key, text, granted)
        return granted

    def _refusal(self, session: ClientSession, text: str) -> Refusal | None:
        if not valid_filter(text):
            return Refusal.TOPIC
        held = self.tree.filters(session)
        if text not in held and len(held) >= self._max_subscriptions:
            return Refusal.SUBSCRIPTIONS
        if not self._gate.may_subscribe(session.identity, text):
            return Refusal.SUBSCRIBE
        return None

    def _retained_for(self, session: ClientSession, text: str, qos: int) -> Iterator[Publish]:
        for kept in itertools.chain(self.retained.match(text), self._sys_messages.match(text)):
            if self._gate.may_receive(session.identity, kept.topic):
                lower = min(qos, kept.qos)
                yield Publish(kept.topic, kept.payload, lower, retain=True, packet_id=0)

    def _retain(self, message: Publish, durable: list[Durable]) -> None:
        kept = Retained(message.topic, message.payload, min(message.qos, _MAX_QOS), now_ms())
        outcome = self.retained.set(kept.topic, kept.payload, kept.qos, kept.stored_ms)
        if outcome is Outcome.NOTHING:
            return
        if outcome is Outcome.REFUSED:
            self._counters.refuse(Refusal.RETAINED)
            self._log.warning("retained store full", "no room to retain %r", message.topic)
        is_stored = outcome is Outcome.STORED
        durable.append(self._store.put_retained(message.topic, kept if is_stored else None))

    def _deliver(self, session: ClientSession, message: Publish, durable: list[Durable]) -> None:
        """Queue a message for a session; QoS 0 is for connected clients only."""
        if not session.is_connected and not message.qos:
            return
        entry = Entry(message, queued_ms=now_ms() if session.is_kept else 0)
        if session.is_kept and message.qos and not self._put_in_store(session, entry, durable):
            return
        dropped = session.delivery.put(entry)
        if dropped:
            self._drop(session, dropped)
        if session.link is not None:
            session.link.send_due()

    def _put_in_store(self, session: ClientSession, entry: Entry, durable: list[Durable]) -> bool:
        """Store a message; return whether to queue it: without room only for a connected client."""
        entry.message_id = self._store.new_message_id()
        future = self._store.put_message(session.key, stored(entry, None))
        if future is not None:
            durable.append(future)
            return True
        entry.message_id = 0
        if not session.is_connected:
            self._drop(session, [entry])
        return session.is_connected

    def _drop(self, session: ClientSession, entries: Sequence[Entry]) -> None:
        self._counters.publish_dropped += len(entries)
        for entry in entries:
            self._store.drop_message(session.key, entry.message_id)
        if session.link is None:
            self._log.warning("queue full", "%r is offline and its queue is full", session.key)
        elif any(entry.message.qos for entry in entries):
            session.link.overflow()


def _copy(message: Publish, qos: int) -> Publish:
    """Return a message as an existing subscriber receives it: not retained (MQTT-3.3.1-9)."""
    return Publish(message.topic, message.payload, qos, retain=False, packet_id=0)
