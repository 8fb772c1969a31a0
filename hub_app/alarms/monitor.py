"""Alarm monitor of the hub: evaluates rules, publishes alarms, records and notifies them.

All of it runs on the event loop. `sweep` is called every second.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from broker.due_times import DueTimes
from bus.contract.messages import Heartbeat
from bus.contract.topics import Topic, TopicKind
from bus.limited_log import LimitedLog
from hub_app.alarms.alarm_file import AlarmFile, Saved
from hub_app.alarms.conditions import Conditions, MachineFacts
from hub_app.alarms.engine import Active, Engine, Key, Observation, Transition
from hub_app.alarms.notices import Notice, NoticePolicy
from hub_app.alarms.notifier import AddressStatus, Notifier
from hub_app.alarms.records import Record
from hub_app.alarms.rules import Rule, RuleBook, matches
from hub_app.alarms.topics import AlarmTopics, Publish
from hub_app.live.change import Change
from hub_app.live.state import State
from hub_app.live.views import ReadingView

logger = logging.getLogger(__name__)

# Between two comparisons of the retained topics with the active alarms.
_RECONCILE_MS = 5000
# Alarms that ended last, kept in the file until the history has them for certain.
_MAX_ENDED = 50
_MAX_MUTED = 1000
# Nodes that are judged in one step of the event loop, and alarms that begin in one sweep.
NODES_AT_ONCE = 50
_BEGIN_AT_ONCE = 50
# A node of which an alarm is pending or active is judged so often.
_OFTEN_MS = 3000
# The node itself, or its plugins, or what they are called.
_KINDS_OF_NODE = frozenset({TopicKind.STATUS, TopicKind.PLUGIN, TopicKind.ABOUT, TopicKind.SENSOR})
_KINDS_OF_SENSOR = frozenset({"field", "stale", "fault"})


class AlarmSetup(msgspec.Struct, frozen=True):
    """Parts of the monitor that depend on the configuration. The default has no file."""

    own_node: str = "hub"
    book: RuleBook = msgspec.field(default_factory=RuleBook)
    file: AlarmFile = msgspec.field(default_factory=lambda: AlarmFile(None))
    rules_path: Path | None = None
    notifier: Notifier | None = None
    make_policy: Callable[..., NoticePolicy] = NoticePolicy


class AlarmMonitor:
    """The alarms of all nodes, by what `state` holds."""

    def __init__(  # noqa: PLR0913 - all that a monitor works with
        self,
        setup: AlarmSetup,
        state: State,
        *,
        publish: Publish,
        record: Callable[[Record], None],
        most_per_node: int,
        on_refused: Callable[[str, str], None],
    ) -> None:
        saved = setup.file.load()
        self.book = setup.book
        self.file = setup.file
        self.rules_path = setup.rules_path
        self.facts = MachineFacts()
        self._state = state
        self._topics = AlarmTopics(state, publish, self.book)
        self._record = record
        self._notifier = setup.notifier
        self._policy = setup.make_policy(told={_key(text): one for text, one in saved.told.items()})
        self._engine = Engine(saved.active, most_per_node, on_refused)
        self._conditions = Conditions(state, self.book, setup.own_node)
        self._muted = {_key(text): until_ms for text, until_ms in saved.muted.items()}
        self._ended = list(saved.ended)
        self._known_nodes: set[str] = set()
        # When each node is judged again, without a message.
        self._due = DueTimes()
        # Nodes of which more has changed than readings and heartbeats, which are judged at once.
        self._changed: set[str] = set()
        # Rules and numbers of the state for which every alarm is known to be covered.
        self._covered = (-1, -1, -1)
        # Judgements of nodes since the start.
        self.judged = 0
        self._reconciled_ms = 0
        self._log = LimitedLog(logger)
        self.file.snapshot = self._snapshot

    def start(self) -> None:
        """Tell the history again what it may have missed when the hub ended."""
        for record in (*self._ended, *map(Record, self._engine.active)):
            self._record(record)
        if self._notifier is not None:
            loop = asyncio.get_running_loop()
            self._notifier.on_sent = lambda notice: _call_on(loop, self._confirm, notice)

    @property
    def active(self) -> list[Active]:
        """Return every active alarm, the oldest first."""
        return self._engine.active

    @property
    def keys(self) -> set[Key]:
        """Return node and name of every active alarm. Any thread may ask."""
        return {alarm.key for alarm in self._engine.active}

    @property
    def faults(self) -> list[str]:
        """What does not work of the alarms, one sentence each."""
        found = [self.file.fault.reason] if self.file.fault.reason else []
        failing = [one for one in self.notifications if one.fault]
        return found + [f"notifications to {one.address} fail: {one.fault}" for one in failing]

    @property
    def notifications(self) -> list[AddressStatus]:
        return [] if self._notifier is None else self._notifier.statuses

    def muted_until_ms(self, key: Key) -> int:
        """Return until when an alarm is muted; 0 where it is not."""
        return self._muted.get(key, 0)

    def on_changes(self, changes: Iterable[Change], now_ms: int) -> None:
        """Judge readings and heartbeats among the changes of the live state; note the others."""
        for change in changes:
            value = change.value
            if isinstance(value, ReadingView):
                is_quiet = self._engine.is_quiet(change.node)
                if not (is_quiet and self._conditions.is_in_order(change)):
                    self._take(self._conditions.of_reading(change, only_bad=is_quiet), now_ms)
                self._due.bring_forward(change.node, value.at_ms + value.stale_after_ms + 1)
            elif isinstance(value, Heartbeat):
                is_quiet = self._engine.is_quiet(change.node)
                seen = self._conditions.of_heartbeat(change, now_ms, only_bad=is_quiet)
                self._take(seen, now_ms)
                if not self._engine.is_quiet(change.node):
                    # Of a slow node, the next heartbeat may be too late.
                    self._due.bring_forward(change.node, now_ms + _OFTEN_MS)
            elif change.kind in _KINDS_OF_NODE:
                self._judge_soon(change.node, now_ms)

    def sweep(self, now_ms: int, delta_ms: int = 0) -> None:
        """Judge what only time shows. The hub's clock was set by `delta_ms`.

        Where many nodes are due, `judge_due` is called for the rest.
        """
        for _ in self.sweep_steps(now_ms, delta_ms):
            pass

    def sweep_steps(self, now_ms: int, delta_ms: int) -> Iterator[None]:
        """Sweep in short steps, between which the loop does everything else."""
        if delta_ms:
            self._engine.shift(delta_ms)
            self._judge_all(now_ms)
        state = self._state
        covered = (self.book.version, state.descriptions, state.removed_nodes)
        if covered != self._covered:
            if covered[0] != self._covered[0]:
                self._judge_all(now_ms)
            self._covered = covered
            self._remove_uncovered(now_ms)
        yield
        self._take(self._conditions.of_machine(self.facts, now_ms), now_ms)
        self.judge_due(now_ms)
        yield
        # It looks at all that is pending, so not at each of the steps above.
        for transition in self._engine.tick(now_ms, _BEGIN_AT_ONCE):
            self._apply(transition)
        yield
        self._notify(now_ms)
        if abs(now_ms - self._reconciled_ms) >= _RECONCILE_MS:
            self._reconciled_ms = now_ms
            yield
            yield from self._topics.reconcile(self._engine.get, self.keys, self._muted)
            yield
            self._forget(now_ms)

    def judge_due(self, now_ms: int) -> bool:
        """Judge some of the nodes that are due; return whether there may be more."""
        due = self._due.take(now_ms, NODES_AT_ONCE)
        for node in due:
            has_changed = node in self._changed
            self._changed.discard(node)
            if not self._state.has_node(node):
                continue
            try:
                self._judge(node, now_ms, has_changed=has_changed)
            except Exception:  # noqa: BLE001 - one node may not end the judging of the others
                # The others are due no more: they are judged nonetheless, and this one again.
                self._log.exception(node, "the alarms failed at node %s", node)
                self._judge_soon(node, now_ms + _OFTEN_MS)
        return len(due) == NODES_AT_ONCE

    def _judge(self, node: str, now_ms: int, *, has_changed: bool) -> None:
        """Judge a node; nothing is to be judged where its sensors have new readings in time."""
        silent_ms = self._conditions.silent_ms(node)
        is_in_time = silent_ms is not None and silent_ms >= now_ms
        if has_changed or not is_in_time or not self._engine.is_quiet(node):
            self.judged += 1
            self._take(self._conditions.of_node(node, now_ms), now_ms)
        if not self._engine.is_quiet(node):
            self._due.set(node, now_ms + _OFTEN_MS)
        elif silent_ms is not None:
            # A sensor that is silent already has no rule that says so.
            self._due.set(node, max(silent_ms + 1, now_ms + _OFTEN_MS))

    def _judge_soon(self, node: str, at_ms: int) -> None:
        self._known_nodes.add(node)
        self._changed.add(node)
        self._due.set(node, at_ms)

    def _judge_all(self, now_ms: int) -> None:
        for node in self._state.nodes:
            self._judge_soon(node, now_ms)

    def acknowledge(self, key: Key, by: str, now_ms: int) -> Active:
        """Acknowledge an active alarm. Raises KeyError where there is none."""
        transition = self._engine.acknowledge(key, by, now_ms)
        self._apply(transition)
        self._record(Record(transition.alarm))
        self.file.changed()
        return transition.alarm

    def mute(self, key: Key, until_ms: int) -> None:
        """Send no notification of an alarm until a time. Raises KeyError where it is not active."""
        alarm = self._engine.get(key)
        if alarm is None:
            raise KeyError(key)
        self._muted.pop(key, None)
        if until_ms:
            self._muted[key] = until_ms
        self._topics.publish(alarm, self.muted_until_ms(alarm.key))
        self.file.changed()

    def on_removed(self, topic: Topic, now_ms: int) -> None:
        """End the alarms of a sensor or plugin that is gone."""
        if topic.kind is TopicKind.READING:
            kinds = _KINDS_OF_SENSOR
        elif topic.kind is TopicKind.PLUGIN:
            kinds = frozenset({"plugin"})
        else:
            return

        def is_gone(node: str, subject: str, rule: Rule | None) -> bool:
            is_its = rule is None or rule.kind in kinds
            return (node, subject) == (topic.node, topic.name) and is_its

        self._remove(is_gone, now_ms)

    def remove_node(self, node: str, now_ms: int) -> None:
        """End the alarms of a node that is gone."""
        self._conditions.forget(node)
        self._due.forget(node)
        self._changed.discard(node)
        self._remove(lambda found, _subject, _rule: found == node, now_ms)

    def _remove(self, is_gone: Callable[[str, str, Rule | None], bool], now_ms: int) -> None:
        def has_gone(alarm: Active) -> bool:
            return is_gone(alarm.node, alarm.sensor, self.book.get(alarm.rule))

        def is_of_gone(seen: Observation) -> bool:
            return is_gone(seen.node, seen.subject, seen.rule)

        self._engine.forget_pending(is_of_gone)
        for transition in self._engine.remove(has_gone, now_ms):
            self._apply(transition)

    def _remove_uncovered(self, now_ms: int) -> None:
        """End what no rule covers any more, and what is of a node that was there and is gone."""
        nodes = set(self._state.nodes)
        gone, self._known_nodes = self._known_nodes - nodes, nodes
        for node in gone:
            self._conditions.forget(node)

        def is_gone(node: str, subject: str, field: str, rule: Rule | None) -> bool:
            if node in gone or rule is None or not rule.covers(node, subject):
                return True
            if field and not rule.covers_field(field):
                return True
            area = self._conditions.place(node, subject if rule.kind != "plugin" else "").area
            return area is not None and not matches(rule.area, area)

        self._engine.forget_pending(
            lambda seen: (
                self.book.get(seen.rule.name) != seen.rule
                or is_gone(seen.node, seen.subject, seen.field, seen.rule)
            )
        )
        for transition in self._engine.remove(
            lambda a: is_gone(a.node, a.sensor, a.field, self.book.get(a.rule)), now_ms
        ):
            self._apply(transition)

    def _take(self, observations: Iterable[Observation], now_ms: int) -> None:
        for seen in observations:
            transition = self._engine.observe(seen, now_ms)
            if transition is not None:
                self._apply(transition)

    def _apply(self, transition: Transition) -> None:
        alarm = transition.alarm
        if transition.change in ("begun", "changed"):
            self._topics.publish(alarm, self.muted_until_ms(alarm.key))
        if transition.change == "begun":
            logger.warning("alarm %s of %s: %s", alarm.name, alarm.node, alarm.text)
            self._record(Record(alarm))
            self.file.changed()
        elif transition.change != "changed":
            self._end(transition)

    def _end(self, transition: Transition) -> None:
        alarm, now_ms = transition.alarm, transition.at_ms
        logger.info("alarm %s of %s is over", alarm.name, alarm.node)
        self._topics.clear(alarm.key)
        record = Record(alarm, max(now_ms, alarm.since_ms))
        self._record(record)
        self._ended = [*self._ended, record][-_MAX_ENDED:]
        if self._notifier is not None and transition.change == "ended":
            notice = self._policy.end(alarm, self._muted, now_ms)
            if notice is not None:
                self._notifier.put(notice)
        self.file.changed()

    def _notify(self, now_ms: int) -> None:
        if self._notifier is None:
            return
        for notice in self._policy.beginnings(self._engine.active, self._muted, now_ms):
            self._notifier.put(notice)
            self.file.changed()

    def _confirm(self, notice: Notice) -> None:
        if self._policy.confirm(notice):
            self.file.changed()

    def _forget(self, now_ms: int) -> None:
        """Forget mutes that are over, and the oldest of too many."""
        kept = [(key, until_ms) for key, until_ms in self._muted.items() if until_ms > now_ms]
        self._muted = dict(kept[-_MAX_MUTED:])
        self._policy.forget(self.keys, now_ms)

    def _snapshot(self) -> Saved:
        return Saved(
            active=self._engine.active,
            muted={"/".join(key): until_ms for key, until_ms in self._muted.items()},
            told={"/".join(key): one for key, one in self._policy.told.items()},
            ended=self._ended,
        )


def _key(text: str) -> Key:
    node, _, name = text.partition("/")
    return node, name


def _call_on(
    loop: asyncio.AbstractEventLoop, act: Callable[[Notice], None], notice: Notice
) -> None:
    """Cross from the notifier's thread to the event loop."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(act, notice)
