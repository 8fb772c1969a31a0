"""Router: subscriptions, retained messages, and the way of a message into each client's queue.

It asks the gate about each message, and hands what must survive a restart to the store.
"""

import functools
from collections.abc import Generator, Sequence

from broker.auth.decisions import TopicDecisions
from broker.auth.gate import Gate, Identity
from broker.embedded.counters import Counters, Refusal
from broker.embedded.outgoing.deliverer import Deliverer, Passed
from broker.embedded.outgoing.entry import Entry
from broker.embedded.packets.model import (
    Publish,
    ReasonCode,
    Subscribe,
)
from broker.embedded.session import ClientSession, Publisher
from broker.embedded.store.store import Store
from broker.embedded.store.writer import Durable
from broker.embedded.topics.grant import granted_copy
from broker.embedded.topics.requests import Subscribed, SubscriptionRequests, Unsubscribed
from broker.embedded.topics.retained import Outcome, Retained, RetainedMessages
from broker.embedded.topics.subscriptions import MAX_ENTRIES, NOBODY, Receivers, Subscriptions
from broker.embedded.topics.sys_topics import is_free_topic
from broker.tap import Tap
from bus.clock import now_ms
from bus.config.broker_table import BrokerConfig
from bus.limited_log import LimitedLog

_MAX_QOS = 2
# The members of an enumeration cost a look-up each time.
_STORED = Outcome.STORED
# The `$SYS` topics: about sixty short ones.
_MAX_SYS_TOPICS = 1_000
_MAX_SYS_BYTES = 1024 * 1024
# Of a client that publishes all the time: a node with many sensors.
TOPICS_OF_CLIENT = 32

_BROKER = Publisher("", "")


class Router:
    """Passes each message on to the clients that subscribed to it and may receive it."""

    def __init__(
        self, settings: BrokerConfig, gate: Gate, store: Store, counters: Counters, log: LimitedLog
    ) -> None:
        self._counters = counters
        entries = max(MAX_ENTRIES, TOPICS_OF_CLIENT * settings.connections)
        self.subscriptions = Subscriptions(gate, entries)
        self.retained = RetainedMessages.bounded_by(settings)
        self._sys_messages = RetainedMessages(
            messages=_MAX_SYS_TOPICS, size_bytes=_MAX_SYS_BYTES, age_ms=float("inf")
        )
        self._requests = SubscriptionRequests(
            *(self.subscriptions, (self.retained, self._sys_messages), gate, store),
            counters=counters,
            log=log,
            most=settings.subscriptions_per_client,
        )
        self._gate = gate
        self._store = store
        self._log = log
        self._taps: list[Tap] = []
        self.deliverer = Deliverer(store, counters, log, stalled_s=settings.stalled_s)
        self._most_payload_bytes = settings.most_payload_bytes

    def publish_for(self, session: ClientSession, message: Publish) -> Passed:
        """Pass on a client's message; return what its publisher waits for.

        A message that it may not publish is dropped and acknowledged, with a reason in MQTT 5. MQTT
        3.1.1 has no refusal but closing the connection (MQTT-3.3.5-2), and a node that is wrong
        about one topic is still useful for all others. Topics that begin with `$` are the broker's
        own, the states of Mosquitto's bridges aside.
        """
        if len(message.payload) > self._most_payload_bytes:
            return self._refuse_size(session.key, message)
        topic = message.topic
        if (topic[0] == "$" and not is_free_topic(topic)) or not session.publish_decisions.allows(
            topic
        ):
            self.refuse_publish(session.key, message.topic)
            return Passed(reason=ReasonCode.NOT_AUTHORIZED)
        return self.publish(message, session.publisher)

    def publish_decisions(self, identity: Identity) -> TopicDecisions:
        """Return a cache of the topics to which a client may publish."""
        return TopicDecisions(self._gate, functools.partial(self._gate.may_publish, identity))

    def _refuse_size(self, key: str, message: Publish) -> Passed:
        self._counters.refuse(Refusal.PACKET_SIZE)
        self._counters.publish_dropped += 1
        self._log.warning(
            "payload size",
            "%r published %d bytes to %.200r, more than broker.payload_bytes",
            *(key, len(message.payload), message.topic),
        )
        return Passed(reason=ReasonCode.PACKET_TOO_LARGE)

    def refuse_publish(self, key: str, topic: str) -> None:
        """Count and log a message or a will that its client may not publish."""
        self._counters.refuse(Refusal.PUBLISH)
        self._counters.publish_dropped += 1
        self._log.warning("publish refused", "%r may not publish to %.200r", key, topic)

    def publish(self, message: Publish, publisher: Publisher = _BROKER) -> Passed:
        """Pass a message on to all subscribers, and retain it where its flag says so."""
        receivers = self.subscriptions.receivers(message.topic)
        passed = Passed()
        if message.retain:
            self._retain(message, publisher, passed.durable)
        # For nearly all messages.
        if receivers is not NOBODY:
            self._deliver(receivers, message, publisher, passed)
        is_heard = self._put_in_taps(message, publisher, passed)
        if not is_heard and receivers is NOBODY:
            passed.reason = ReasonCode.NO_MATCHING_SUBSCRIBERS
        return passed

    def _deliver(
        self, receivers: Receivers, message: Publish, publisher: Publisher, passed: Passed
    ) -> None:
        copies: list[Publish | None] = [None] * (_MAX_QOS + 1)
        for session, granted in receivers.sessions:
            qos = min(granted, message.qos)
            copy = copies[qos]
            if copy is None:
                copy = copies[qos] = _copy(message, qos)
            self.deliverer.deliver(session, Entry(copy, publisher=publisher.key), passed)
        if receivers.with_options or receivers.groups:
            self._deliver_as_granted(receivers, message, publisher, passed)

    def _put_in_taps(self, message: Publish, publisher: Publisher, passed: Passed) -> bool:
        """Hand a message to the taps; return whether one of them takes it."""
        is_heard = False
        for tap in self._taps:
            if tap.put(message.topic, message.payload):
                is_heard = True
            if publisher.key:
                passed.wait_for(tap.room_for(message.topic))
        return is_heard

    def _deliver_as_granted(
        self, receivers: Receivers, message: Publish, publisher: Publisher, passed: Passed
    ) -> None:
        """Pass a message on to subscribers with options, and to one member of each group."""
        for session, grant in receivers.with_options:
            is_own = session.key in (publisher.key, publisher.will_of)
            applied = grant.for_own if is_own else grant
            if applied is not None:
                copy = granted_copy(message, applied)
                self.deliverer.deliver(session, Entry(copy, publisher=publisher.key), passed)
        for group in receivers.groups:
            picked = self.subscriptions.pick(group, message)
            if picked is not None:
                copy = granted_copy(message, picked[1])
                entry = Entry(copy, publisher=publisher.key, group=group.text)
                self.deliverer.deliver(picked[0], entry, passed)

    def add_tap(self, tap: Tap) -> None:
        self._taps.append(tap)

    def remove_tap(self, tap: Tap) -> None:
        self._taps.remove(tap)

    def publish_sys(self, topics: dict[str, bytes]) -> None:
        """Publish those of the `$SYS` topics that have changed."""
        for topic, payload in topics.items():
            last = self._sys_messages.get(topic)
            if last is None or last.payload != payload:
                self._sys_messages.set(Retained(topic, payload, 0, 0))
                self.publish(Publish(topic, payload, 0, retain=False, packet_id=0))

    def subscribe(
        self, session: ClientSession, request: Subscribe
    ) -> Generator[None, None, Subscribed]:
        """Subscribe in slices: see `SubscriptionRequests`."""
        return self._requests.subscribe(session, request)

    def unsubscribe(
        self, session: ClientSession, filters: Sequence[str]
    ) -> Generator[None, None, Unsubscribed]:
        """Unsubscribe in slices."""
        return self._requests.unsubscribe(session, filters)

    def clear_retained(self, topic_filter: str, until_ms: int) -> int:
        """Publish an empty retained message in place of each that matches."""
        found = [kept for kept in self.retained.match(topic_filter) if kept.stored_ms <= until_ms]
        for kept in found:
            self.publish(Publish(kept.topic, b"", kept.qos, retain=True, packet_id=0))
        return len(found)

    def expire(self, most: int | None = None) -> None:
        """Delete retained messages that have expired or were not changed for `retained_days`.

        With `most`, at most so many topics are looked at.
        """
        for topic in self.retained.expire(now_ms(), most):
            self._store.put_retained(topic, None)

    def drop_forbidden(self, session: ClientSession) -> None:
        """Drop queued messages that a returning client may not receive any more."""
        dropped = session.delivery.remove_unless(
            lambda entry: self._gate.may_receive(session.identity, entry.message.topic)
        )
        for entry in dropped:
            self._store.drop_message(session.key, entry.message_id)

    def _retain(self, message: Publish, publisher: Publisher, durable: list[Durable]) -> None:
        kept = Retained(
            message.topic,
            message.payload,
            message.qos,
            now_ms(),
            owner=publisher.user,
            properties=message.properties,
        )
        outcome = self.retained.set(kept)
        is_stored = outcome is _STORED
        if not is_stored and outcome is Outcome.NOTHING:
            return
        if not is_stored and outcome is Outcome.REFUSED:
            self._counters.refuse(Refusal.RETAINED)
            self._log.warning(
                "retained store full",
                "no room to retain %.200r of %r: its limit or that of all is reached",
                message.topic,
                publisher.user,
            )
        written = self._store.put_retained(message.topic, kept if is_stored else None)
        if written is not None:
            durable.append(written)

    def redistribute(self, session: ClientSession) -> None:
        """Give other members of its groups what a session did not take.

        A message of QoS 2 that was sent already stays (MQTT 5, 4.8.2-5). It is called when the
        session has no connection any more, and when it ends, while it has its subscriptions.
        """

        def is_given_away(entry: Entry) -> bool:
            return not session.is_kept or self.subscriptions.has_connected_receiver(
                entry.group, entry.message, session
            )

        entries = session.delivery.take_shared(is_given_away)
        for entry in entries:
            picked = self.subscriptions.other_member(entry.group, entry.message, session)
            with self._store.together():
                copy = entry.aged(now_ms())
                if picked is not None and copy is not None:
                    copy = granted_copy(copy, picked[1])
                    self.deliverer.deliver(picked[0], Entry(copy, group=entry.group), Passed())
                self._store.drop_message(session.key, entry.message_id)


def _copy(message: Publish, qos: int) -> Publish:
    """Return a message as an existing subscriber receives it: not retained (MQTT-3.3.1-9)."""
    return Publish(
        message.topic,
        message.payload,
        qos,
        retain=False,
        packet_id=0,
        properties=message.properties,
    )
