"""SUBSCRIBE and UNSUBSCRIBE: the filters that are granted, and the retained messages they bring."""

import itertools
import logging
from collections.abc import Generator, Iterable, Iterator, Sequence

import msgspec

from broker.auth.gate import Gate, Role
from broker.embedded.counters import Counters, Refusal
from broker.embedded.packets.model import Publish, ReasonCode, Subscribe, aged, with_ids
from broker.embedded.session import ClientSession
from broker.embedded.store.store import Store
from broker.embedded.store.writer import Durable
from broker.embedded.topics.grant import Grant
from broker.embedded.topics.names import valid_filter
from broker.embedded.topics.retained import RetainedMessages
from broker.embedded.topics.shared import PREFIX as SHARED
from broker.embedded.topics.shared import split as split_shared
from broker.embedded.topics.subscriptions import Subscriptions
from bus.clock import now_ms
from bus.limited_log import LimitedLog

_MAX_QOS = 2
# MQTT 3.1.1 has one code for all of them: see the writer.
_REFUSED = {
    Refusal.TOPIC: ReasonCode.TOPIC_FILTER_INVALID,
    Refusal.SUBSCRIPTIONS: ReasonCode.QUOTA_EXCEEDED,
    Refusal.SUBSCRIBE: ReasonCode.NOT_AUTHORIZED,
}
_MAX_NOTED_FILTERS = 100
# Characters in the name of a shared subscription's group: it is kept with the filter.
_MAX_GROUP_CHARS = 256
# Retained messages that are looked at before other clients have their turn. A filter that matches
# none takes as long as some.
_SLICE = 100
_FILTER_COST = 10
# Filters that are granted or removed before other clients have their turn.
_FILTERS_AT_ONCE = 100

logger = logging.getLogger(__name__)


class Subscribed(msgspec.Struct, frozen=True):
    """Answer to a SUBSCRIBE: a reason code for each filter, and the matching retained messages.

    None among the messages: others have their turn before the next. `durable`: the writes of what
    is granted to a kept session.
    """

    codes: list[int]
    retained: Iterator[Publish | None]
    durable: list[Durable]


class Unsubscribed(msgspec.Struct, frozen=True):
    """Answer to an UNSUBSCRIBE: a reason code for each filter.

    `durable`: the writes for a kept session.
    """

    codes: list[int]
    durable: list[Durable]


class SubscriptionRequests:
    """Answers clients' requests. A session has at most `most` subscriptions."""

    def __init__(  # noqa: PLR0913 - what a subscription touches
        self,
        subscriptions: Subscriptions,
        retained: Sequence[RetainedMessages],
        gate: Gate,
        store: Store,
        *,
        counters: Counters,
        log: LimitedLog,
        most: int,
    ) -> None:
        self._subscriptions = subscriptions
        self._retained = retained
        self._gate = gate
        self._store = store
        self._counters = counters
        self._log = log
        self._most = most
        # Refused subscriptions of integrations that were logged.
        self._noted_filters: set[str] = set()

    def subscribe(
        self, session: ClientSession, request: Subscribe
    ) -> Generator[None, None, Subscribed]:
        """Grant filters in slices; one that is there several times brings its messages once."""
        codes: list[int] = []
        found: dict[str, Iterator[Publish | None]] = {}
        durable: list[Durable] = []
        for number, wanted in enumerate(request.filters, 1):
            is_new = not self._subscriptions.has(wanted.text, session)
            grant = Grant.of(wanted, request.subscription_id)
            code, written = self._grant(session, wanted.text, grant)
            codes.append(code)
            if written is not None:
                durable.append(written)
            is_wanted = wanted.retain_handling == 0 or (wanted.retain_handling == 1 and is_new)
            if code <= _MAX_QOS and is_wanted and not wanted.text.startswith(SHARED):
                found[wanted.text] = self._retained_for(session, wanted.text, grant)
            if number % _FILTERS_AT_ONCE == 0:
                yield
        return Subscribed(codes, _in_slices(found.values()), durable)

    def unsubscribe(
        self, session: ClientSession, filters: Sequence[str]
    ) -> Generator[None, None, Unsubscribed]:
        """Remove subscriptions in slices."""
        codes: list[int] = []
        durable: list[Durable] = []
        for number, text in enumerate(filters, 1):
            existed = self._subscriptions.has(text, session)
            code = ReasonCode.SUCCESS if existed else ReasonCode.NO_SUBSCRIPTION_EXISTED
            codes.append(int(code))
            self._subscriptions.remove(text, session)
            written = self._store.drop_subscription(session.key, text)
            if written is not None:
                durable.append(written)
            if number % _FILTERS_AT_ONCE == 0:
                yield
        return Unsubscribed(codes, durable)

    def _grant(self, session: ClientSession, text: str, grant: Grant) -> tuple[int, Durable | None]:
        """Return the reason code, and the write of what is granted to a kept session."""
        cause = self._refusal(session, text)
        if cause is not None:
            self._counters.refuse(cause)
            self._log_refused_subscription(session, text, cause)
            return _REFUSED[cause], None
        self._subscriptions.add(text, session, grant)
        return grant.qos, self._store.put_subscription(session.key, text, grant)

    def _log_refused_subscription(self, session: ClientSession, text: str, cause: Refusal) -> None:
        """Warn; but of an integration, note each filter once.

        At each start, Home Assistant asks for what other products publish, too.
        """
        if session.identity.role is not Role.INTEGRATION or cause is not Refusal.SUBSCRIBE:
            self._log.warning(
                "subscription refused",
                "%r may not subscribe to %.200r (%s)",
                session.key,
                text,
                cause,
            )
        elif text not in self._noted_filters and len(self._noted_filters) < _MAX_NOTED_FILTERS:
            self._noted_filters.add(text)
            logger.info("%s may not subscribe to %.200r", session.identity.name, text)

    def _refusal(self, session: ClientSession, text: str) -> Refusal | None:
        topic_filter = text
        if text.startswith(SHARED):
            shared = split_shared(text)
            if shared is None or len(shared[0]) > _MAX_GROUP_CHARS:
                return Refusal.TOPIC
            topic_filter = shared[1]
        if not valid_filter(topic_filter):
            return Refusal.TOPIC
        is_new = not self._subscriptions.has(text, session)
        if is_new and self._subscriptions.count(session) >= self._most:
            return Refusal.SUBSCRIPTIONS
        if not self._gate.may_subscribe(session.identity, topic_filter):
            return Refusal.SUBSCRIBE
        return None

    def _retained_for(
        self, session: ClientSession, text: str, grant: Grant
    ) -> Iterator[Publish | None]:
        """Yield what each matching message brings; None: nothing.

        It ends with the subscription, of which no new message may come after (MQTT-3.10.4-2).
        """
        for kept in itertools.chain.from_iterable(each.match(text) for each in self._retained):
            if not self._subscriptions.has(text, session):
                return
            properties = aged(kept.properties, now_ms() - kept.stored_ms)
            if properties is None or not self._gate.may_receive(session.identity, kept.topic):
                yield None
                continue
            yield Publish(
                kept.topic,
                kept.payload,
                min(grant.qos, kept.qos),
                retain=True,
                packet_id=0,
                properties=with_ids(properties, grant.ids),
            )


def _in_slices(found: Iterable[Iterator[Publish | None]]) -> Iterator[Publish | None]:
    """Yield the messages, and None where others have their turn."""
    looked_at = 0
    for messages in found:
        looked_at += _FILTER_COST
        for message in messages:
            looked_at += 1
            if message is not None:
                yield message
            if looked_at >= _SLICE:
                looked_at = 0
                yield None
        if looked_at >= _SLICE:
            looked_at = 0
            yield None
