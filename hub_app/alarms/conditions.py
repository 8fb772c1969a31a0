"""Conditions of rules in the live state, as observations. Pure.

A reading is judged when it arrives; what only time shows is judged at each sweep.
"""

from collections.abc import Container, Iterator
from typing import Any

import msgspec

from bus.config.alarms_table import RuleKind
from bus.contract.description import FieldDescription, Fields, SensorDescription
from bus.contract.messages import Heartbeat, PluginState, Value
from bus.contract.topics import TopicKind
from hub_app.alarms import texts
from hub_app.alarms.engine import Observation, Verdict
from hub_app.alarms.rules import Rule, RuleBook
from hub_app.live.change import Change
from hub_app.live.state import State
from hub_app.live.views import ReadingView

# What a sweep observed is true until it is observed again.
_SWEPT_MS = 5000


class MachineFacts(msgspec.Struct, frozen=True):
    """State of the hub's machine: its disk and its certificate; None where there is none."""

    disk_percent: float | None = None
    certificate_days: float | None = None


def judge(rule: Rule, value: float, limit: float) -> Verdict:
    """Compare a value with a rule's limit and its clearing value."""
    if rule.below is not None:
        clear = limit if rule.clear is None else max(rule.clear, limit)
        return "bad" if value < limit else "between" if value < clear else "good"
    clear = limit if rule.clear is None else min(rule.clear, limit)
    return "bad" if value > limit else "between" if value > clear else "good"


class Conditions:
    """Observations of what `state` holds, by the rules of `book`. `own_node` is the hub's."""

    def __init__(self, state: State, book: RuleBook, own_node: str) -> None:
        self._state = state
        self._book = book
        self._own_node = own_node

    def area(self, node: str, sensor: str = "") -> str | None:
        """Return the area of a sensor or node; None while neither is described."""
        described = self._state.description(node, sensor) if sensor else None
        about = self._state.about(node)
        if described is None and about is None:
            return None
        return (described.area if described else "") or (about.area if about else "")

    def of_reading(self, change: Change) -> Iterator[Observation]:
        """Judge a reading: its values, and whether the sensor measures anything possible."""
        view: ReadingView = change.value
        node, sensor = change.node, change.name
        described = self._state.description(node, sensor)
        fields = described.fields if described else {}
        for rule in self._matching("field", node, sensor):
            for field, value in view.data.items():
                if not isinstance(value, str) and rule.covers(node, sensor, field):
                    yield from _of_value(rule, change, field, value, described)
        for rule in self._matching("fault", node, sensor):
            mistake = fault_of(view.data, fields)
            title = texts.sensor_title(node, sensor, described)
            yield _reading_observation(
                rule,
                change,
                verdict="bad" if mistake else "good",
                text=texts.of_rule(rule, title, mistake),
            )

    def of_sweep(self, facts: MachineFacts, now_ms: int) -> Iterator[Observation]:
        """Judge what shows without a message: silence, states that last, the hub's machine.

        Of a node that is not online, only that is judged.
        """
        state = self._state
        for node in state.nodes:
            yield from self._of_node(node, now_ms)
        online = {node for node in state.nodes if state.presence(node).presence == "online"}
        plugins = [entry for entry in state.of_kind(TopicKind.PLUGIN) if entry.node in online]
        stopped = {(p.node, p.name) for p in plugins if p.value.state != "running"}
        for entry in plugins:
            yield from self._of_plugin(entry, now_ms)
        for entry in state.of_kind(TopicKind.READING):
            if entry.node in online:
                yield from self._of_silence(entry, stopped, now_ms)
        for entry in state.of_kind(TopicKind.HEARTBEAT):
            if entry.node in online:
                yield from self._of_heartbeat(entry, now_ms)
        yield from self._of_machine(facts, now_ms)

    def _matching(self, kind: RuleKind, node: str, subject: str = "") -> tuple[Rule, ...]:
        area = self.area(node, subject if kind != "plugin" else "")
        return self._book.matching(kind, node, subject, area or "")

    def _title(self, node: str) -> str:
        about = self._state.about(node)
        return (about.title if about else "") or node

    def _of_node(self, node: str, now_ms: int) -> Iterator[Observation]:
        presence = self._state.presence(node).presence
        is_lost = presence != "online"
        for rule in self._matching("lost", node):
            text = is_lost and texts.of_rule(rule, self._title(node), f"the node is {presence}")
            yield _swept(rule, node, now_ms, bad=is_lost, text=text or "")

    def _of_silence(
        self, entry: Change, stopped: Container[tuple[str, str]], now_ms: int
    ) -> Iterator[Observation]:
        """Judge the age of a sensor's readings. Of a plugin in `stopped`, none are expected."""
        view: ReadingView = entry.value
        node, sensor = entry.node, entry.name
        described = self._state.description(node, sensor)
        is_expected = described is None or (node, described.plugin) not in stopped
        is_bad = is_expected and now_ms > view.at_ms + view.stale_after_ms
        for rule in self._matching("stale", node, sensor):
            title = texts.sensor_title(node, sensor, described)
            text = is_bad and texts.of_rule(rule, title, "no new readings")
            yield _swept(rule, node, now_ms, bad=is_bad, text=text or "", subject=sensor)

    def _of_plugin(self, change: Change, now_ms: int) -> Iterator[Observation]:
        plugin: PluginState = change.value
        is_bad = plugin.state == "failed"
        for rule in self._matching("plugin", change.node, change.name):
            title = f"{self._title(change.node)}: plugin {change.name}"
            last = next(reversed(plugin.error.strip().splitlines()), "")
            text = texts.of_rule(rule, title, f"failed: {last}" if last else "failed")
            yield _swept(rule, change.node, now_ms, bad=is_bad, text=text, subject=change.name)

    def _of_heartbeat(self, change: Change, now_ms: int) -> Iterator[Observation]:
        heartbeat: Heartbeat = change.value
        node = change.node
        offset_s = abs(self._state.presence(node).clock_offset_ms) / 1000
        for rule in self._matching("outbox", node):
            words = "more than {limit:g} readings wait for the hub"
            yield self._of_limit(rule, node, heartbeat.outbox_rows, words, now_ms)
        for rule in self._matching("clock", node):
            words = "its clock is wrong by more than {limit:g} s"
            yield self._of_limit(rule, node, round(offset_s, 1), words, now_ms)

    def _of_machine(self, facts: MachineFacts, now_ms: int) -> Iterator[Observation]:
        node = self._own_node
        if facts.disk_percent is not None:
            for rule in self._matching("disk", node):
                words = "the hub's disk is more than {limit:g} % full"
                yield self._of_limit(rule, node, round(facts.disk_percent, 1), words, now_ms)
        if facts.certificate_days is not None:
            for rule in self._matching("certificate", node):
                days = facts.certificate_days
                yield self._of_limit(
                    rule, node, round(days, 1), texts.ends_on(days, now_ms), now_ms
                )

    def _of_limit(
        self, rule: Rule, node: str, value: float, words: str, now_ms: int
    ) -> Observation:
        limit = rule.limit(None) or 0.0
        text = texts.of_rule(rule, self._title(node), words.format(limit=limit))
        verdict = judge(rule, value, limit)
        seen = _swept(rule, node, now_ms, bad=verdict == "bad", text=text)
        return msgspec.structs.replace(seen, verdict=verdict, value=value, limit=limit)


def fault_of(data: dict[str, Value], fields: Fields) -> str:
    """Return what is wrong with a reading by its description; empty where nothing is."""
    is_unreachable = any(
        described.quantity == "connectivity" and data.get(field) is False
        for field, described in fields.items()
    )
    for field, described in fields.items():
        label = described.label or field
        value = data.get(field)
        if value is None:
            # A host that does not answer has no round trip; a value that is pending may be absent.
            if not is_unreachable and described.pending is None:
                return f"{label} was not measured"
        elif described.range is not None and not isinstance(value, str):
            least, most = described.range
            if not least <= value <= most:
                return f"{label} is impossible: {texts.number(value, described)}"
    return ""


def _of_value(
    rule: Rule, change: Change, field: str, value: float, described: SensorDescription | None
) -> Iterator[Observation]:
    words: FieldDescription | None = described.fields.get(field) if described else None
    limit = rule.limit(words)
    if limit is None:
        return
    verdict = judge(rule, value, limit)
    title = texts.sensor_title(change.node, change.name, described)
    text = texts.limit_exceeded(rule, field, limit, words) if verdict == "bad" else ""
    yield _reading_observation(
        rule,
        change,
        verdict=verdict,
        field=field,
        value=float(value),
        limit=limit,
        text=texts.of_rule(rule, title, text),
    )


def _reading_observation(rule: Rule, change: Change, **told: Any) -> Observation:
    view: ReadingView = change.value
    return Observation(
        rule=rule,
        node=change.node,
        subject=change.name,
        at_ms=view.at_ms,
        fresh_until_ms=view.at_ms + view.stale_after_ms,
        **told,
    )


def _swept(  # noqa: PLR0913 - the parts of an observation
    rule: Rule, node: str, now_ms: int, *, bad: bool, text: str, subject: str = ""
) -> Observation:
    return Observation(
        rule=rule,
        node=node,
        verdict="bad" if bad else "good",
        at_ms=now_ms,
        fresh_until_ms=now_ms + _SWEPT_MS,
        subject=subject,
        text=text,
    )
