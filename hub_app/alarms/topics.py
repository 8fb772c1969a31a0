"""Retained topics of alarms: published at each change, and again where one is missing."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from bus.contract.messages import Alarm, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.alarms.engine import Active, Key
from hub_app.alarms.rules import RuleBook
from hub_app.live.state import State

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

    def reconcile(self, active: Iterable[Active], muted: Mapping[Key, int]) -> None:
        """Publish or clear what is not as it should be, after a restart of hub or broker."""
        wanted = {str(_topic(alarm.key)): alarm for alarm in active}
        found = {entry.topic: entry for entry in self._state.of_kind(TopicKind.ALARM)}
        for text, entry in found.items():
            if text not in wanted:
                self.clear((entry.node, entry.name))
        for text, alarm in wanted.items():
            muted_until_ms = muted.get(alarm.key, 0)
            message = _without_value(self._message(alarm, muted_until_ms))
            if text not in found or _without_value(found[text].value) != message:
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
