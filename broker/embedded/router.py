"""Who gets what: subscriptions, retained messages, and a message's way into each client's queue.

It asks the gate for each message, and tells the store what must survive.
"""

import itertools
from collections.abc import Iterator, Sequence

from broker.auth.gate import Gate
from broker.embedded.delivery import Entry
from broker.embedded.packets.decode import Publish
from broker.embedded.packets.encode import SUBSCRIPTION_FAILED
from broker.embedded.session import ClientSession
from broker.embedded.statistics import Counters, Refusal
from broker.embedded.store.queue_records import stored
from broker.embedded.store.store import Store
from broker.embedded.store.writer import Settled
from broker.embedded.topics.names import valid_filter
from broker.embedded.topics.retained import Outcome, Retained, RetainedMessages
from broker.embedded.topics.tree import TopicTree
from bus.clock import now_ms
from bus.config.broker_table import BrokerConfig
from bus.limited_log import LimitedLog

# MQTT allows a broker to grant less than was asked for (MQTT-3.8.4-6).
_BEST_QOS = 1
# The `$SYS` topics: some sixty short ones.
_MOST_FIGURES = 1_000
_MOST_FIGURE_BYTES = 1024 * 1024


class Router:
    """Takes messages in and puts them before each client that subscribed and may have them."""

    def __init__(
        self, settings: BrokerConfig, gate: Gate, store: Store, counters: Counters, log: LimitedLog
    ) -> None:
        self.counters = counters
        self.tree: TopicTree[ClientSession] = TopicTree()
        self.retained = RetainedMessages.bounded_by(settings)
        self._figures = RetainedMessages(
            messages=_MOST_FIGURES, size_bytes=_MOST_FIGURE_BYTES, age_ms=float("inf")
        )
        self._most_subscriptions = settings.subscriptions_per_client
        self._gate = gate
        self._store = store
        self._log = log

    def publish_for(self, session: ClientSession, message: Publish) -> Sequence[Settled]:
        """Pass on what a client published; return what its acknowledgement waits for.

        What it may not publish is dropped and acknowledged: MQTT 3.1.1 has no other answer but to
        close the connection (MQTT-3.3.5-2), and a node that is mistaken about one topic is of more
        use with the rest of them.
        """
        if not self._gate.may_publish(session.identity, message.topic):
            self.counters.refuse(Refusal.PUBLISH)
            self.counters.publish_dropped += 1
            self._log.warning(
                "publish refused", "%r may not publish to %r", session.key, message.topic
            )
            return ()
        return self.publish(message)

    def publish(self, message: Publish) -> Sequence[Settled]:
        """Pass a message on to all who subscribed, and retain it where it says so."""
        settled: list[Settled] = []
        if message.retain:
            self._retain(message, settled)
        copies = [_copy(message, qos) for qos in range(min(message.qos, _BEST_QOS) + 1)]
        for session, granted in self.tree.match(message.topic).items():
            copy = copies[min(granted, len(copies) - 1)]
            if self._gate.may_receive(session.identity, message.topic):
                self._deliver(session, copy, settled)
        return settled

    def show(self, figures: dict[str, bytes]) -> None:
        """Publish the broker's own topics, those whose value is new."""
        for topic, payload in figures.items():
            last = self._figures.get(topic)
            if last is None or last.payload != payload:
                self._figures.set(topic, payload, 0, 0)
                self.publish(Publish(topic, payload, 0, retain=False, packet_id=0))

    def subscribe(
        self, session: ClientSession, filters: Sequence[tuple[str, int]]
    ) -> tuple[list[int], Iterator[Publish]]:
        """Return a code for each filter, and the retained messages that match those granted."""
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
        entry = session.delivery.acknowledge(packet_id)
        if entry is not None:
            self._store.drop_message(session.key, entry.row)

    def note_sent(self, session: ClientSession, entry: Entry, packet_id: int) -> None:
        """Keep the id under which a stored message went out: it goes out again under the same."""
        if entry.row:
            self._store.put_message(session.key, stored(entry, packet_id))

    def expire(self) -> None:
        """Forget retained messages that nobody has changed for too long."""
        for topic in self.retained.expire(now_ms()):
            self._store.put_retained(topic, None)

    def withdraw_forbidden(self, session: ClientSession) -> None:
        """Drop what a client that comes back may not receive any more."""
        dropped = session.delivery.keep_only(
            lambda entry: self._gate.may_receive(session.identity, entry.message.topic)
        )
        for entry in dropped:
            self._store.drop_message(session.key, entry.row)

    def _grant(self, session: ClientSession, text: str, qos: int) -> int:
        cause = self._objection(session, text)
        if cause is not None:
            self.counters.refuse(cause)
            self._log.warning(
                "subscription refused", "%r may not subscribe to %r (%s)", session.key, text, cause
            )
            return SUBSCRIPTION_FAILED
        granted = min(qos, _BEST_QOS)
        self.tree.add(text, session, granted)
        self._store.put_subscription(session.key, text, granted)
        return granted

    def _objection(self, session: ClientSession, text: str) -> Refusal | None:
        if not valid_filter(text):
            return Refusal.TOPIC
        held = self.tree.filters(session)
        if text not in held and len(held) >= self._most_subscriptions:
            return Refusal.SUBSCRIPTIONS
        if not self._gate.may_subscribe(session.identity, text):
            return Refusal.SUBSCRIBE
        return None

    def _retained_for(self, session: ClientSession, text: str, qos: int) -> Iterator[Publish]:
        for kept in itertools.chain(self.retained.match(text), self._figures.match(text)):
            if self._gate.may_receive(session.identity, kept.topic):
                lower = min(qos, kept.qos)
                yield Publish(kept.topic, kept.payload, lower, retain=True, packet_id=0)

    def _retain(self, message: Publish, settled: list[Settled]) -> None:
        kept = Retained(message.topic, message.payload, min(message.qos, _BEST_QOS), now_ms())
        outcome = self.retained.set(kept.topic, kept.payload, kept.qos, kept.stored_ms)
        if outcome is Outcome.NOTHING:
            return
        if outcome is Outcome.REFUSED:
            self.counters.refuse(Refusal.RETAINED)
            self._log.warning("retained store full", "no room to retain %r", message.topic)
        is_stored = outcome is Outcome.STORED
        settled.append(self._store.put_retained(message.topic, kept if is_stored else None))

    def _deliver(self, session: ClientSession, message: Publish, settled: list[Settled]) -> None:
        """Queue a message for a session; QoS 0 is for those who are there."""
        if session.handler is None and not message.qos:
            return
        entry = Entry(message, queued_ms=now_ms() if session.is_kept else 0)
        if session.is_kept and message.qos and not self._keep(session, entry, settled):
            return
        given_up = session.delivery.put(entry)
        if given_up:
            self._give_up(session, given_up)
        if session.handler is not None:
            session.handler.pump()

    def _keep(self, session: ClientSession, entry: Entry, settled: list[Settled]) -> bool:
        """Store a message. Without room it still goes to a client that is there."""
        entry.row = self._store.new_message_id()
        future = self._store.put_message(session.key, stored(entry, None))
        if future is not None:
            settled.append(future)
            return True
        entry.row = 0
        if session.handler is None:
            self._give_up(session, [entry])
        return session.handler is not None

    def _give_up(self, session: ClientSession, entries: Sequence[Entry]) -> None:
        self.counters.publish_dropped += len(entries)
        for entry in entries:
            self._store.drop_message(session.key, entry.row)
        if session.handler is None:
            self._log.warning("queue full", "%r is away and its queue is full", session.key)
        elif any(entry.message.qos for entry in entries):
            session.handler.overflow()


def _copy(message: Publish, qos: int) -> Publish:
    """Return a message as it goes to who subscribed before (MQTT-3.3.1-9)."""
    return Publish(message.topic, message.payload, qos, retain=False, packet_id=0)
