"""Live state: the newest value of every topic. Pure: no broker, clock or thread.

`apply` takes a message and returns the changes; `snapshot` returns everything, also as changes. So
a browser that got a snapshot and then every change has the same state as the hub.
"""

from collections.abc import Container, Iterator
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from broker.due_times import DueTimes
from bus.clock import DAY_MS
from bus.config.limits_table import LimitsConfig
from bus.contract.description import About, SensorDescription
from bus.contract.messages import Alarm, Event, Log, Message, Oled, PluginRecord, Reading
from bus.contract.topics import Topic, TopicKind, global_sensor_id
from bus.errors import BadTopicError
from hub_app.live import attention
from hub_app.live.change import Change
from hub_app.live.log_lines import LOG_LINES_PER_NODE, LogLines
from hub_app.live.presence import MISSED_CYCLES, NodePresence
from hub_app.live.views import DescriptionView, ReadingView, description_view, view_of
from hub_app.quota.live import LiveQuota, QuotaUse
from hub_app.quota.refusals import Reason, Refusals

_KB = 1024

# Nodes that one step of a sweep looks at: some 5 ms, with all that hear of it.
NODES_AT_ONCE = 100

# The interval of a sensor is the shortest of its last few gaps, so one outage does not count.
_GAPS = 3

_DESCRIPTIONS = frozenset({TopicKind.ABOUT, TopicKind.SENSOR})
# A status becomes a presence entry; a backlog is for the history alone.
_KINDS_WITHOUT_ENTRY = frozenset({TopicKind.STATUS, TopicKind.BACKLOG})


class Snapshot(msgspec.Struct, frozen=True):
    """All entries and log lines at one moment; log lines oldest first."""

    now_ms: int
    entries: list[Change]
    logs: list[Change]


class _Sensor:
    """The newest reading of one sensor, and the gaps between the last few."""

    __slots__ = ("described_by", "gaps_ms", "interval_ms", "reading", "sensor_id", "text")

    def __init__(self, topic: Topic, reading: Reading) -> None:
        self.text = str(topic)
        self.sensor_id = global_sensor_id(topic.node, topic.name)
        self.reading = reading
        self.gaps_ms: tuple[int, ...] = ()
        # Its interval by its description, and the number of the descriptions that it is from.
        self.interval_ms = 0
        self.described_by = -1

    def is_newer(self, reading: Reading) -> bool:
        """Whether `reading` is newer than the last; `seq` counts where the clock was set back."""
        last = self.reading
        if reading.stream != last.stream:
            return True
        return reading.timestamp_ms > last.timestamp_ms or reading.seq > last.seq

    def advance(self, reading: Reading) -> None:
        gap_ms = reading.timestamp_ms - self.reading.timestamp_ms
        if reading.stream == self.reading.stream and gap_ms > 0:
            self.gaps_ms = (*self.gaps_ms[1 - _GAPS :], gap_ms)
        self.reading = reading


class State:
    """The newest value of every topic. What exceeds a quota is dropped and counted."""

    def __init__(
        self, limits: LimitsConfig | None = None, refusals: Refusals | None = None
    ) -> None:
        self._limits = limits or LimitsConfig()
        self._refusals = refusals or Refusals()
        self._quota = LiveQuota(self._limits)
        self._longest_ms = round(self._limits.silent_days * DAY_MS)
        self.refused = 0
        # The quota that the last message exceeded.
        self.refusal: Reason | None = None
        self.outdated = 0
        # Nodes whose presence the last sweep looked at.
        self.looked_at = 0
        self.last_update_ms: int | None = None
        # Counts new and removed topics, new fields and changed descriptions: the page needs other
        # elements for each.
        self.shape = 0
        # The number of the last change of each node's descriptions, and of all; and how many nodes
        # were removed.
        self._described: dict[str, int] = {}
        self.descriptions = 0
        self.removed_nodes = 0
        self._presences: dict[str, NodePresence] = {}
        # When the presence of each node is looked at again.
        self._due = DueTimes()
        self._entries: dict[str, Change] = {}
        # The topics in `_entries` by node, and by kind, in the order they first appeared.
        self._of_node: dict[str, dict[str, None]] = {}
        self._of_kind: dict[TopicKind, dict[str, None]] = {}
        # The topics in `_entries` that need attention.
        self._needing_attention: dict[str, None] = {}
        # By digest.
        self._views: WeakValueDictionary[str, DescriptionView] = WeakValueDictionary()
        self._sensors: dict[Topic, _Sensor] = {}
        self._pictures: dict[str, Oled] = {}
        self._logs: dict[str, LogLines] = {}

    def apply(self, topic: Topic, message: Message, now_ms: int) -> list[Change]:
        """Apply a message; return the changes, which may be none."""
        reason = self.refusal = self._quota.refusal(topic, message, now_ms)
        if reason is not None:
            self.refused += 1
            self._refusals.count(topic.node, reason, str(topic))
            if reason is Reason.NODES:
                return []
        if isinstance(message, Alarm):
            # The hub's own words: they prove nothing about the node.
            return [self._keep(topic, message)] if reason is None else []
        presence = self._presences.get(topic.node)
        if presence is None:
            presence = self._presences[topic.node] = NodePresence(now_ms)
            self._look_again(topic.node, presence)
        status_before = presence.status
        presence.on_message(message, now_ms)
        changes = [] if reason is not None else self._store(topic, message, presence, now_ms)
        changed = presence.update(now_ms)
        if changed or presence.status is not status_before:
            self._look_again(topic.node, presence)
            changes.insert(0, self._keep_status(topic.node, presence))
        return changes

    def sweep(self, now_ms: int) -> list[Change]:
        """Return the changes since the last call: nodes that fell silent, new refusals.

        A node that is silent for days is removed. Of many nodes that are due, some are left for the
        next call: see `has_due`.
        """
        changes: list[Change] = []
        due = self._due.take(now_ms, NODES_AT_ONCE)
        for node in due:
            if now_ms - self._presences[node].last_ms > self._longest_ms:
                changes += self.remove_node(node)
        refused = self._refusals.take_changed()
        for node in dict.fromkeys((*due, *refused)):
            presence = self._presences.get(node)
            if presence is None:
                continue
            if node in refused:
                presence.refused = self._refusals.of(node)
            if presence.update(now_ms) or node in refused:
                changes.append(self._keep_status(node, presence))
            self._look_again(node, presence)
        self.looked_at = len(due)
        return changes

    def has_due(self, now_ms: int) -> bool:
        """Whether `sweep` has more to do at once."""
        return self._due.is_due(now_ms)

    def _look_again(self, node: str, presence: NodePresence) -> None:
        """Note when a node is lost, or gone for good, unless it says something before."""
        lost_ms = presence.lost_ms
        self._due.set(node, presence.last_ms + self._longest_ms + 1 if lost_ms is None else lost_ms)

    def remove(self, topic: Topic) -> list[Change]:
        """Remove a topic whose retained message was emptied; an emptied status removes the node."""
        if topic.kind is TopicKind.STATUS:
            return self.remove_node(topic.node)
        self._quota.free(topic)
        self._sensors.pop(topic, None)
        if topic.kind is TopicKind.OLED:
            self._pictures.pop(topic.node, None)
        entry = self._entries.get(str(topic))
        if entry is None:
            return []
        self._drop(entry)
        if topic.node not in self._presences and topic.node not in self._of_node:
            # Of a node that was never heard, only the hub's own alarms took a place.
            self._quota.free_node(topic.node)
        return [msgspec.structs.replace(entry, value=None)]

    def remove_node(self, node: str) -> list[Change]:
        """Remove a node with all that is known of it; its places are free again."""
        removed = self.of_node(node)
        for entry in removed:
            self._drop(entry)
            if entry.kind is TopicKind.READING:
                topic = Topic(node, entry.kind, entry.name)
                self._sensors.pop(topic, None)
        self._due.forget(node)
        self.removed_nodes += 1
        self._described.pop(node, None)
        for known in (self._presences, self._pictures, self._logs):
            known.pop(node, None)
        self._quota.free_node(node)
        self._refusals.forget(node)
        self.shape += 1
        return [msgspec.structs.replace(entry, value=None) for entry in removed]

    def shift(self, delta_ms: int, now_ms: int) -> list[Change]:
        """Move the hub's times by `delta_ms`, as its clock was set; return every change."""
        changes = []
        for node, presence in self._presences.items():
            presence.shift(delta_ms)
            self._look_again(node, presence)
            changes.append(self._keep_status(node, presence))
        for topic in self._sensors:
            view = self._entries[str(topic)].value
            shifted = msgspec.structs.replace(view, at_ms=min(now_ms, view.at_ms + delta_ms))
            changes.append(self._keep(topic, shifted))
        return changes

    def snapshot(self, now_ms: int, log_lines: int = LOG_LINES_PER_NODE) -> Snapshot:
        """Return everything, with at most the `log_lines` newest log lines of each node."""
        logs = [line for lines in self._logs.values() for line in lines.newest(log_lines)]
        return Snapshot(now_ms, list(self._entries.values()), logs)

    def of_kind(self, kind: TopicKind) -> list[Change]:
        """Return the newest value of every topic of one kind, in the order they first appeared."""
        entries = self._entries
        return [entries[text] for text in self._of_kind.get(kind, ())]

    def of_kinds(self, kinds: Container[TopicKind]) -> list[Change]:
        return [entry for kind in self._of_kind if kind in kinds for entry in self.of_kind(kind)]

    @property
    def needing_attention(self) -> list[Change]:
        """Active alarms, nodes that are gone and plugins that failed."""
        return [self._entries[text] for text in self._needing_attention]

    def of_node(self, node: str) -> list[Change]:
        entries = self._entries
        return [entries[text] for text in self._of_node.get(node, ())]

    def quota_uses(self) -> Iterator[QuotaUse]:
        return self._quota.uses()

    @property
    def nodes(self) -> list[str]:
        return list(self._presences)

    def has_node(self, node: str) -> bool:
        return node in self._presences

    def presence(self, node: str) -> NodePresence:
        """Return the presence of a node. Raises KeyError for an unknown one."""
        return self._presences[node]

    def logs(self, node: str | None, limit: int) -> list[Change]:
        """Return the `limit` newest log lines of one node, or of all by time; newest last."""
        if node is not None:
            return self._logs[node].newest(limit) if node in self._logs else []
        lines = [line for ring in self._logs.values() for line in ring]
        return sorted(lines, key=lambda line: line.value.timestamp_ms)[-limit:]

    def value(self, topic: Topic) -> Any:
        """Return the newest value of a topic, or None where there is none."""
        entry = self._entries.get(str(topic))
        return None if entry is None else entry.value

    def described(self, node: str) -> int:
        """Return a number that changes with each description of a node or its sensors."""
        return self._described.get(node, 0)

    def has_reading(self, node: str, sensor: str) -> bool:
        return Topic(node, TopicKind.READING, sensor) in self._sensors

    def description(self, node: str, sensor: str) -> SensorDescription | None:
        """Return the description of a sensor, or None where its node has published none."""
        try:
            entry = self._entries.get(str(Topic(node, TopicKind.SENSOR, sensor)))
        except BadTopicError:
            # The history has names that no topic can have.
            return None
        return None if entry is None else entry.value.description

    def about(self, node: str) -> About | None:
        """Return the description of a node, or None where the node has published none."""
        entry = self._entries.get(str(Topic(node, TopicKind.ABOUT)))
        return None if entry is None else entry.value.description

    def picture(self, node: str) -> Oled | None:
        """Return the content of a node's display, or None where the node has published none."""
        return self._pictures.get(node)

    def _store(
        self, topic: Topic, message: Message, presence: NodePresence, now_ms: int
    ) -> list[Change]:
        if isinstance(message, Reading):
            return self._keep_reading(topic, message, presence, now_ms)
        if topic.kind in _KINDS_WITHOUT_ENTRY:
            return []
        if isinstance(message, Log | Event):
            return [self._pass_on(topic, message)]
        if isinstance(message, Oled):
            self._pictures[topic.node] = message
        if isinstance(message, Oled | PluginRecord):
            return [self._keep(topic, view_of(message))]
        if isinstance(message, SensorDescription | About):
            return self._keep_description(topic, message)
        return [self._keep(topic, message)]

    def _keep_status(self, node: str, presence: NodePresence) -> Change:
        return self._keep(Topic(node, TopicKind.STATUS), presence.view)

    def _keep(self, topic: Topic, value: Any) -> Change:
        return self._put(Change(str(topic), topic.kind, topic.node, topic.name, value))

    def _put(self, change: Change) -> Change:
        text = change.topic
        if text not in self._entries:
            self.shape += 1
            self._of_node.setdefault(change.node, {})[text] = None
            self._of_kind.setdefault(change.kind, {})[text] = None
        self._entries[text] = change
        if change.kind in attention.KINDS:
            if attention.needs_attention(change):
                self._needing_attention[text] = None
            else:
                self._needing_attention.pop(text, None)
        return change

    def _drop(self, entry: Change) -> None:
        del self._entries[entry.topic]
        self._needing_attention.pop(entry.topic, None)
        del self._of_kind[entry.kind][entry.topic]
        of_node = self._of_node[entry.node]
        del of_node[entry.topic]
        if not of_node:
            del self._of_node[entry.node]
        if entry.kind in _DESCRIPTIONS:
            self._note_description(entry.node)
        self.shape += 1

    def _note_description(self, node: str) -> None:
        self.descriptions += 1
        self._described[node] = self.descriptions

    def _keep_description(
        self, topic: Topic, description: SensorDescription | About
    ) -> list[Change]:
        view = self._shared(description_view(description))
        before = self._entries.get(str(topic))
        if before is not None:
            if before.value == view:
                return []
            self.shape += 1
        self._note_description(topic.node)
        return [self._keep(topic, view)]

    def _shared(self, view: DescriptionView) -> DescriptionView:
        """Return the equal view of another topic, if there is one: a fleet has few different."""
        known = self._views.setdefault(view.digest, view)
        return known if known == view else view

    def _pass_on(self, topic: Topic, message: Log | Event) -> Change:
        """Return a message that replaces none before it; the newest log lines are kept."""
        change = Change(str(topic), topic.kind, topic.node, topic.name, message)
        if isinstance(message, Log):
            self._keep_log(topic, change)
        return change

    def _keep_log(self, topic: Topic, change: Change) -> None:
        ring = self._logs.get(topic.node)
        if ring is None:
            ring = self._logs[topic.node] = LogLines(self._limits.log_kb * _KB)
            self.shape += 1
        ring.append(change)

    def _keep_reading(
        self, topic: Topic, reading: Reading, presence: NodePresence, now_ms: int
    ) -> list[Change]:
        sensor = self._sensors.get(topic)
        if sensor is None:
            sensor = self._sensors[topic] = _Sensor(topic, reading)
        elif sensor.is_newer(reading):
            if not reading.data.keys() <= sensor.reading.data.keys():
                self.shape += 1
            sensor.advance(reading)
        else:
            self.outdated += 1
            return []
        self.last_update_ms = now_ms
        described_by = self._described.get(topic.node, 0)
        if sensor.described_by != described_by:
            sensor.described_by, sensor.interval_ms = described_by, self._described_ms(topic)
        cycle_ms = max(presence.interval_ms, sensor.interval_ms, min(sensor.gaps_ms, default=0))
        view = ReadingView(
            sensor_id=sensor.sensor_id,
            timestamp_ms=reading.timestamp_ms,
            data=reading.data,
            at_ms=min(now_ms, reading.timestamp_ms + presence.clock_offset_ms),
            stale_after_ms=MISSED_CYCLES * cycle_ms,
        )
        return [self._put(Change(sensor.text, topic.kind, topic.node, topic.name, view))]

    def _described_ms(self, topic: Topic) -> int:
        """Return the interval of a sensor by its description, 0 where it has none."""
        described = self.description(topic.node, topic.name)
        return 0 if described is None else round(described.interval_s * 1000)
