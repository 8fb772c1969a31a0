"""Retained topics of alarms: published at each change, and again where one is missing."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from bus.contract.messages import Alarm, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.alarms.engine import Active, Key
from hub_app.alarms.rules import RuleBook
from hub_app.live.state import State

# Alarms that are compared in one step: a millisecond or two.
_AT_ONCE = 100
# Publishes on a topic; returns None where there is no connection.
Publish = Callable[[Topic, bytes], int | None]


class AlarmTopics:
    """Topics of alarms over `publish`, their rules being in `book`.

    `state` holds what the broker has of them.
    """

    def __init__(self, state: State, publish: Publish, book: RuleBook) -> None:
        self._state = state
        self._publish = publish
        self._book = book

    def publish(self, alarm: Active, muted_until_ms: int) -> None:
        self._publish(_topic(alarm.key), encode(self._message(alarm, muted_until_ms)))

    def clear(self, key: Key) -> None:
        self._publish(_topic(key), b"")

    def reconcile(
        self, get: Callable[[Key], Active | None], keys: Iterable[Key], muted: Mapping[Key, int]
    ) -> Iterator[None]:
        """Publish or clear what is not as it should be, after a restart of hub or broker.

        It is done in short steps. `get` returns an alarm that is active at that moment, of `keys`.
        """
        wanted = set(keys)
        for number, entry in enumerate(self._state.of_kind(TopicKind.ALARM), 1):
            key = (entry.node, entry.name)
            if key not in wanted and get(key) is None:
                self.clear(key)
            if number % _AT_ONCE == 0:
                yield
        for number, key in enumerate(wanted, 1):
            alarm = get(key)
            if alarm is not None:
                self._reconcile(alarm, muted.get(key, 0))
            if number % _AT_ONCE == 0:
                yield

    def _reconcile(self, alarm: Active, muted_until_ms: int) -> None:
        found: Alarm | None = self._state.value(_topic(alarm.key))
        message = self._message(alarm, muted_until_ms)
        if found is None or _without_value(found) != _without_value(message):
            self.publish(alarm, muted_until_ms)

    def _message(self, alarm: Active, muted_until_ms: int) -> Alarm:
        rule = self._book.get(alarm.rule)
        return Alarm(
            severity=alarm.severity,
            text=alarm.text,
            since_ms=max(0, alarm.since_ms),
            value=alarm.value,
            limit=alarm.limit,
            acknowledged=alarm.acknowledged_ms > 0,
            rule=alarm.rule,
            sensor=alarm.sensor,
            field=alarm.field,
            muted_until_ms=muted_until_ms,
            kind=rule.kind if rule is not None else "",
        )


def _topic(key: Key) -> Topic:
    node, name = key
    return Topic(node, TopicKind.ALARM, name)


def _without_value(alarm: Alarm) -> Alarm:
    """Return an alarm without its value, which changes all the time."""
    return msgspec.structs.replace(alarm, value=None)
