"""State machine of alarms: pending, active, over. Pure: `now_ms` is handed in.

Each condition of a rule is told as an `Observation`: bad, good, or between its limit and its
clearing value. A condition that is bad for as long as the rule says begins an alarm; only a good
one ends it. An observation that is not fresh any more neither begins nor ends anything.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from bus.contract.messages import Severity
from hub_app.alarms.rules import Rule

Verdict = Literal["good", "between", "bad"]

# Between two changes of the value of an alarm that stays active.
_REFRESH_MS = 10_000
# Node and name.
Key = tuple[str, str]


class Observation(msgspec.Struct, frozen=True, gc=False):
    """A condition of `rule` at one node, and one sensor or plugin where it is about one.

    It was so at `at_ms`, and is taken for true until `fresh_until_ms`. `text` says what is wrong.
    """

    rule: Rule
    node: str
    verdict: Verdict
    at_ms: int
    fresh_until_ms: int
    subject: str = ""
    field: str = ""
    value: float | None = None
    limit: float | None = None
    text: str = ""


class Active(msgspec.Struct, frozen=True, gc=False):
    """An alarm that is active; `worst` is the value farthest beyond the limit so far."""

    node: str
    name: str
    rule: str
    severity: Severity
    text: str
    since_ms: int
    sensor: str = ""
    field: str = ""
    value: float | None = None
    worst: float | None = None
    limit: float | None = None
    acknowledged_ms: int = 0
    acknowledged_by: str = ""

    @property
    def key(self) -> Key:
        return self.node, self.name


class Transition(msgspec.Struct, frozen=True):
    """A change of one alarm. One that is `removed` ended with its rule, sensor or node."""

    change: Literal["begun", "changed", "ended", "removed"]
    alarm: Active
    at_ms: int


class _Pending(msgspec.Struct):
    """A bad condition that has not lasted for long enough yet, and the last observation of it."""

    since_ms: int
    last: Observation


class Engine:
    """All alarms. Of one node, at most `most_per_node` are pending or active.

    `on_refused` is told the node of each that is beyond it.
    """

    def __init__(
        self,
        active: Iterable[Active] = (),
        most_per_node: int = 256,
        on_refused: Callable[[str, str], None] = lambda _node, _name: None,
    ) -> None:
        self._most_per_node = most_per_node
        self._on_refused = on_refused
        self._active = {alarm.key: alarm for alarm in active}
        self._pending: dict[Key, _Pending] = {}
        self._changed_ms: dict[Key, int] = {}
        # Pending and active ones of each node.
        self._taken = Counter(alarm.node for alarm in self._active.values())

    @property
    def active(self) -> list[Active]:
        """Return every active alarm, the oldest first."""
        return list(self._active.values())

    def get(self, key: Key) -> Active | None:
        return self._active.get(key)

    def is_quiet(self, node: str) -> bool:
        """Whether no alarm of a node is pending or active: what is in order changes nothing."""
        return node not in self._taken

    def observe(self, seen: Observation, now_ms: int) -> Transition | None:
        """Take a condition; return the change that it makes."""
        if seen.fresh_until_ms < now_ms:
            return None
        key = (seen.node, seen.rule.alarm_name(seen.subject, seen.field))
        if key in self._active:
            if seen.verdict == "good":
                return self._end(key, now_ms)
            return self._update(key, seen, now_ms)
        if seen.verdict == "bad":
            return self._wait(key, seen, now_ms)
        self._forget(key)
        return None

    def tick(self, now_ms: int, most: int | None = None) -> list[Transition]:
        """Begin the alarms whose time has come, at most so many; drop what is not observed."""
        changes: list[Transition] = []
        for key, pending in list(self._pending.items()):
            if len(changes) == most:
                break
            if pending.last.fresh_until_ms < now_ms:
                self._forget(key)
            elif now_ms - pending.since_ms >= pending.last.rule.for_ms:
                changes.append(self._begin(key, now_ms))
        return changes

    def acknowledge(self, key: Key, by: str, now_ms: int) -> Transition:
        """Acknowledge an active alarm; again is fine. Raises KeyError where there is none."""
        alarm = self._active[key]
        if not alarm.acknowledged_ms:
            alarm = msgspec.structs.replace(alarm, acknowledged_ms=now_ms, acknowledged_by=by)
            self._active[key] = alarm
        return Transition("changed", alarm, now_ms)

    def remove(self, is_gone: Callable[[Active], bool], now_ms: int) -> list[Transition]:
        """End the alarms whose rule, sensor or node is gone."""
        gone = [key for key, alarm in self._active.items() if is_gone(alarm)]
        return [self._end(key, now_ms, "removed") for key in gone]

    def forget_pending(self, is_gone: Callable[[Observation], bool]) -> None:
        """Forget conditions whose rule, sensor or node is gone."""
        for key in [key for key, pending in self._pending.items() if is_gone(pending.last)]:
            self._forget(key)

    def shift(self, delta_ms: int) -> None:
        """Move the times of pending conditions, as the hub's clock was set."""
        for pending in self._pending.values():
            pending.since_ms += delta_ms
            fresh_until_ms = pending.last.fresh_until_ms + delta_ms
            pending.last = msgspec.structs.replace(pending.last, fresh_until_ms=fresh_until_ms)
        self._changed_ms.clear()

    def _wait(self, key: Key, seen: Observation, now_ms: int) -> Transition | None:
        pending = self._pending.get(key)
        if pending is None or pending.last.fresh_until_ms < seen.at_ms:
            if pending is None and self._taken[seen.node] >= self._most_per_node:
                self._on_refused(*key)
                return None
            self._taken[seen.node] += pending is None
            pending = self._pending[key] = _Pending(seen.at_ms, seen)
        pending.last = seen
        if now_ms - pending.since_ms < seen.rule.for_ms:
            return None
        return self._begin(key, now_ms)

    def _forget(self, key: Key) -> None:
        """Forget a pending condition, if there is one."""
        if self._pending.pop(key, None) is not None:
            self._free(key[0])

    def _free(self, node: str) -> None:
        self._taken[node] -= 1
        if not self._taken[node]:
            del self._taken[node]

    def _begin(self, key: Key, now_ms: int) -> Transition:
        pending = self._pending.pop(key)
        seen = pending.last
        alarm = Active(
            *key,
            rule=seen.rule.name,
            severity=seen.rule.severity,
            text=seen.text,
            since_ms=pending.since_ms,
            sensor=seen.subject,
            field=seen.field,
            value=seen.value,
            worst=seen.value,
            limit=seen.limit,
        )
        self._active[key] = alarm
        self._changed_ms[key] = now_ms
        return Transition("begun", alarm, now_ms)

    def _update(self, key: Key, seen: Observation, now_ms: int) -> Transition | None:
        before = self._active[key]
        worst = _worst(before.worst, seen.value, seen.rule)
        after = msgspec.structs.replace(before, value=seen.value, worst=worst)
        if seen.verdict == "bad":
            severity, text = seen.rule.severity, seen.text or before.text
            after = msgspec.structs.replace(after, limit=seen.limit, severity=severity, text=text)
        self._active[key] = after
        same = msgspec.structs.replace(after, value=before.value, worst=before.worst) == before
        is_due = now_ms - self._changed_ms.get(key, 0) >= _REFRESH_MS
        if same and (after.value == before.value or not is_due):
            return None
        self._changed_ms[key] = now_ms
        return Transition("changed", after, now_ms)

    def _end(
        self, key: Key, now_ms: int, change: Literal["ended", "removed"] = "ended"
    ) -> Transition:
        self._changed_ms.pop(key, None)
        self._free(key[0])
        return Transition(change, self._active.pop(key), now_ms)


def _worst(known: float | None, value: float | None, rule: Rule) -> float | None:
    if known is None or value is None:
        return known if value is None else value
    return min(known, value) if rule.below is not None else max(known, value)
