"""Conditions of rules in the live state, as observations. Pure.

A reading is judged when it arrives; what only time shows is judged at each sweep.
"""

import math
from collections.abc import Container, Iterable, Iterator
from operator import itemgetter
from typing import Any

import msgspec

from bus.config.alarms_table import RuleKind
from bus.contract.description import Fields, SensorDescription
from bus.contract.messages import Heartbeat, PluginState, Value
from bus.contract.topics import TopicKind, global_sensor_id
from bus.files.backup_record import BackupRecord
from hub_app.alarms import texts
from hub_app.alarms.engine import Observation, Verdict
from hub_app.alarms.rules import Rule, RuleBook
from hub_app.live.change import Change
from hub_app.live.state import State
from hub_app.live.views import ReadingView

# What was observed of a node is true until it is observed again.
_SWEPT_MS = 10_000


class MachineFacts(msgspec.Struct, frozen=True):
    """State of the hub's machine: its disk, its certificate, the CA's; None where there is none.

    `backup_hours` is the age of the last nightly backup, None where none are made.
    """

    disk_percent: float | None = None
    certificate_days: float | None = None
    ca_days: float | None = None
    backup_hours: float | None = None
    backup: BackupRecord = BackupRecord()


def judge(rule: Rule, value: float, limit: float) -> Verdict:
    """Compare a value with a rule's limit and its clearing value."""
    if rule.below is not None:
        clear = limit if rule.clear is None else max(rule.clear, limit)
        return "bad" if value < limit else "between" if value < clear else "good"
    clear = limit if rule.clear is None else min(rule.clear, limit)
    return "bad" if value > limit else "between" if value > clear else "good"


class Place(msgspec.Struct, frozen=True, gc=False):
    """What people call a sensor or node, and where it is; `area` is None while nobody said."""

    title: str
    area: str | None
    described: SensorDescription | None = None
    # Each described field with its least and greatest value.
    ranges: tuple[tuple[str, float, float], ...] = ()


class Conditions:
    """Observations of what `state` holds, by the rules of `book`. `own_node` is the hub's."""

    def __init__(self, state: State, book: RuleBook, own_node: str) -> None:
        self._state = state
        self._book = book
        self._own_node = own_node
        # By node, then by sensor: what the descriptions of that number say.
        self._places: dict[str, tuple[int, dict[str, Place]]] = {}

    def place(self, node: str, sensor: str = "") -> Place:
        """Return title and area of a sensor, or of a node."""
        described = self._state.described(node)
        known = self._places.get(node)
        if known is None or known[0] != described:
            known = self._places[node] = (described, {})
        found = known[1].get(sensor)
        if found is None:
            found = known[1][sensor] = self._find_place(node, sensor)
        return found

    def forget(self, node: str) -> None:
        """Forget what is known of a node that is gone."""
        self._places.pop(node, None)

    def is_in_order(self, entry: Change) -> bool:
        """Whether a reading is bad for no rule. False: `of_reading` takes a closer look."""
        place = self.place(entry.node, entry.name)
        return not self._book.has_any("field") and is_within(entry.value.data, place.ranges)

    def of_reading(self, entry: Change, *, only_bad: bool = False) -> Iterator[Observation]:
        """Judge a reading: its values, and whether the sensor measures anything possible.

        With `only_bad`, what is in order is left out: it changes nothing where no alarm of the
        node is pending or active.
        """
        view: ReadingView = entry.value
        node, sensor = entry.node, entry.name
        place = self.place(node, sensor)
        for rule in self._matching("field", node, sensor, place):
            for field in (rule.field,) if rule.has_one_field else view.data:
                value = view.data.get(field, "")
                if not isinstance(value, str) and rule.covers_field(field):
                    yield from _of_value(rule, entry, field, value, place, only_bad=only_bad)
        if only_bad and is_within(view.data, place.ranges):
            return
        for rule in self._matching("fault", node, sensor, place):
            fields = place.described.fields if place.described else {}
            mistake = fault_of(view.data, fields)
            if only_bad and not mistake:
                continue
            yield _reading_observation(
                rule,
                entry,
                verdict="bad" if mistake else "good",
                text=texts.of_rule(rule, place.title, mistake) if mistake else "",
            )

    def of_node(self, node: str, now_ms: int) -> Iterator[Observation]:
        """Judge what shows of a node without a message: silence, and states that last.

        Of a node that is not online, only that is judged.
        """
        yield from self._of_presence(node, now_ms)
        if self._state.presence(node).presence != "online":
            return
        entries = self._state.of_node(node)
        plugins = [entry for entry in entries if entry.kind is TopicKind.PLUGIN]
        stopped = {(node, p.name) for p in plugins if p.value.state != "running"}
        for entry in plugins:
            yield from self._of_plugin(entry, now_ms)
        for entry in entries:
            if entry.kind is TopicKind.READING:
                yield from self._of_silence(entry, stopped, now_ms)
            elif entry.kind is TopicKind.HEARTBEAT:
                yield from self.of_heartbeat(entry, now_ms)

    def silent_ms(self, node: str) -> int | None:
        """Return when the first sensor of a node will be silent, unless it says something more."""
        if self._state.presence(node).presence != "online":
            return None
        views = (e.value for e in self._state.of_node(node) if e.kind is TopicKind.READING)
        return min((view.at_ms + view.stale_after_ms for view in views), default=None)

    def _find_place(self, node: str, sensor: str) -> Place:
        described = self._state.description(node, sensor) if sensor else None
        about = self._state.about(node)
        known = described is not None or about is not None
        area = (described.area if described else "") or (about.area if about else "")
        title = (about.title if about else "") or node
        if sensor:
            title = (described.title if described else "") or global_sensor_id(node, sensor)
        ranges = ranges_of(described.fields) if described else ()
        return Place(title, area if known else None, described, ranges)

    def _matching(self, kind: RuleKind, node: str, subject: str, place: Place) -> tuple[Rule, ...]:
        return self._book.matching(kind, node, subject, place.area or "")

    def _of_presence(self, node: str, now_ms: int) -> Iterator[Observation]:
        presence = self._state.presence(node).presence
        is_lost = presence != "online"
        place = self.place(node)
        for rule in self._matching("lost", node, "", place):
            text = is_lost and texts.of_rule(rule, place.title, f"the node is {presence}")
            yield _swept(rule, node, now_ms, bad=is_lost, text=text or "")

    def _of_silence(
        self, entry: Change, stopped: Container[tuple[str, str]], now_ms: int
    ) -> Iterator[Observation]:
        """Judge the age of a sensor's readings. Of a plugin in `stopped`, none are expected."""
        view: ReadingView = entry.value
        node, sensor = entry.node, entry.name
        place = self.place(node, sensor)
        described = place.described
        is_expected = described is None or (node, described.plugin) not in stopped
        is_bad = is_expected and now_ms > view.at_ms + view.stale_after_ms
        for rule in self._matching("stale", node, sensor, place):
            text = is_bad and texts.of_rule(rule, place.title, "no new readings")
            yield _swept(rule, node, now_ms, bad=is_bad, text=text or "", subject=sensor)

    def _of_plugin(self, entry: Change, now_ms: int) -> Iterator[Observation]:
        plugin: PluginState = entry.value
        is_bad = plugin.state == "failed"
        place = self.place(entry.node)
        for rule in self._matching("plugin", entry.node, entry.name, place):
            text = _failure(rule, place.title, entry.name, plugin.error) if is_bad else ""
            yield _swept(rule, entry.node, now_ms, bad=is_bad, text=text, subject=entry.name)

    def of_heartbeat(
        self, entry: Change, now_ms: int, *, only_bad: bool = False
    ) -> Iterator[Observation]:
        """Judge a heartbeat: the outbox of the node and its clock. `only_bad`: see `of_reading`."""
        heartbeat: Heartbeat = entry.value
        node = entry.node
        offset_s = round(abs(self._state.presence(node).clock_offset_ms) / 1000, 1)
        rows, is_harmless = heartbeat.outbox_rows, self._book.is_harmless
        if only_bad and is_harmless("outbox", rows) and is_harmless("clock", offset_s):
            # As nearly every heartbeat is.
            return
        limited: tuple[tuple[RuleKind, float, str], ...] = (
            ("outbox", rows, "more than {limit:g} readings wait for the hub"),
            ("clock", offset_s, "its clock is wrong by more than {limit:g} s"),
        )
        for kind, value, words in limited:
            yield from self._of_limit(kind, node, value, words, now_ms, only_bad=only_bad)

    def of_machine(self, facts: MachineFacts, now_ms: int) -> Iterator[Observation]:
        """Judge the hub's machine."""
        node, percent = self._own_node, facts.disk_percent
        if percent is not None:
            words = "the hub's disk is more than {limit:g} % full"
            yield from self._of_limit("disk", node, round(percent, 1), words, now_ms)
        yield from self._of_certificates(facts, now_ms)
        if facts.backup_hours is not None:
            words = texts.old_backup(facts.backup.fault)
            yield from self._of_limit("backup", node, round(facts.backup_hours, 1), words, now_ms)

    def _of_certificates(self, facts: MachineFacts, now_ms: int) -> Iterator[Observation]:
        """Judge the one that ends first."""
        kinds = ((facts.certificate_days, texts.certificate_ends), (facts.ca_days, texts.ca_ends))
        known = [(days, text_of) for days, text_of in kinds if days is not None]
        if known:
            days, text_of = min(known, key=itemgetter(0))
            words = text_of(days, now_ms)
            yield from self._of_limit("certificate", self._own_node, round(days, 1), words, now_ms)

    def _of_limit(  # noqa: PLR0913 - the parts of an observation
        self,
        kind: RuleKind,
        node: str,
        value: float,
        words: str,
        now_ms: int,
        *,
        only_bad: bool = False,
    ) -> Iterator[Observation]:
        place = self.place(node)
        for rule in self._matching(kind, node, "", place):
            limit = rule.limit(None) or 0.0
            verdict = judge(rule, value, limit)
            is_bad = verdict == "bad"
            if only_bad and not is_bad:
                continue
            text = texts.of_rule(rule, place.title, words.format(limit=limit)) if is_bad else ""
            seen = _swept(rule, node, now_ms, bad=is_bad, text=text)
            yield msgspec.structs.replace(seen, verdict=verdict, value=value, limit=limit)


def ranges_of(fields: Fields) -> tuple[tuple[str, float, float], ...]:
    """Return each field with its least and greatest value, infinite where it has no range."""
    everything = (-math.inf, math.inf)
    return tuple((field, *(described.range or everything)) for field, described in fields.items())


def is_within(data: dict[str, Value], ranges: Iterable[tuple[str, float, float]]) -> bool:
    """Whether every field is a number in its range, so that no fault can be found."""
    for field, least, most in ranges:
        value = data.get(field)
        if value is None or isinstance(value, str) or not least <= value <= most:
            return False
    return True


def fault_of(data: dict[str, Value], fields: Fields) -> str:
    """Return what is wrong with a reading by its description; empty where nothing is."""
    for field, described in fields.items():
        label = described.label or field
        value = data.get(field)
        if value is None:
            # A host that does not answer has no round trip; a value that is pending may be absent.
            if described.pending is None and not _is_unreachable(data, fields):
                return f"{label} was not measured"
        elif described.range is not None and not isinstance(value, str):
            least, most = described.range
            if not least <= value <= most:
                return f"{label} is impossible: {texts.number(value, described)}"
    return ""


def _is_unreachable(data: dict[str, Value], fields: Fields) -> bool:
    return any(
        described.quantity == "connectivity" and data.get(field) is False
        for field, described in fields.items()
    )


def _failure(rule: Rule, title: str, plugin: str, error: str) -> str:
    last = next(reversed(error.strip().splitlines()), "")
    words = f"failed: {last}" if last else "failed"
    return texts.of_rule(rule, f"{title}: plugin {plugin}", words)


def _of_value(  # noqa: PLR0913 - the parts of an observation
    rule: Rule, entry: Change, field: str, value: float, place: Place, *, only_bad: bool
) -> Iterator[Observation]:
    described = place.described.fields.get(field) if place.described else None
    limit = rule.limit(described)
    if limit is None:
        return
    verdict = judge(rule, value, limit)
    if only_bad and verdict != "bad":
        return
    text = ""
    if verdict == "bad":
        words = texts.limit_exceeded(rule, field, limit, described)
        text = texts.of_rule(rule, place.title, words)
    yield _reading_observation(
        rule, entry, verdict=verdict, field=field, value=float(value), limit=limit, text=text
    )


def _reading_observation(rule: Rule, entry: Change, **told: Any) -> Observation:
    view: ReadingView = entry.value
    return Observation(
        rule=rule,
        node=entry.node,
        subject=entry.name,
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
