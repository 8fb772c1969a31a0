"""Live state: the newest value of every topic. Pure: no broker, clock or thread.

`apply` takes a message and returns the changes; `snapshot` returns everything, also as changes. So
a browser that got a snapshot and then every change has the same state as the hub.
"""

import hashlib
from collections import deque
from typing import Any

import msgspec

from bus.contract.messages import Log, Message, Oled, Reading, Value
from bus.contract.topics import Topic, TopicKind, global_sensor_id
from hub_app.live.presence import MISSED_CYCLES, NodePresence

MAX_NODES = 200
MAX_SENSORS = 2000
MAX_PLUGINS = 2000
# A reading with more fields than this is refused: no sensor has so many.
MAX_FIELDS = 64
LOG_LINES_PER_NODE = 500
# The interval of a sensor is the shortest of its last few gaps, so one outage does not count.
_GAPS = 3

# A status becomes a presence entry; a backlog is for the history alone.
_KINDS_WITHOUT_ENTRY = frozenset({TopicKind.STATUS, TopicKind.BACKLOG})


class Change(msgspec.Struct, frozen=True):
    """The new value of one topic: a message of the bus, or a struct of this module."""

    topic: str
    kind: TopicKind
    node: str
    name: str
    value: Any


class ReadingView(msgspec.Struct, frozen=True):
    """A reading as the page shows it.

    `at_ms` is when it was taken, by the hub's clock, never in the future; it is stale
    `stale_after_ms` later. `timestamp_ms` is the node's own.
    """

    sensor_id: str
    timestamp_ms: int
    data: dict[str, Value]
    at_ms: int
    stale_after_ms: int


class OledView(msgspec.Struct, frozen=True):
    """A display as the page shows it; the page fetches a new picture when `digest` changes."""

    width: int
    height: int
    on: bool
    digest: str


class Snapshot(msgspec.Struct, frozen=True):
    """All entries and log lines at one moment; log lines oldest first."""

    now_ms: int
    entries: list[Change]
    logs: list[Change]


class _Sensor:
    """The newest reading of one sensor, and the gaps between the last few."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.gaps_ms: deque[int] = deque(maxlen=_GAPS)

    def is_newer(self, reading: Reading) -> bool:
        """Whether `reading` is newer than the last; `seq` counts where the clock was set back."""
        last = self.reading
        if reading.stream != last.stream:
            return True
        return reading.timestamp_ms > last.timestamp_ms or reading.seq > last.seq

    def advance(self, reading: Reading) -> None:
        gap_ms = reading.timestamp_ms - self.reading.timestamp_ms
        if reading.stream == self.reading.stream and gap_ms > 0:
            self.gaps_ms.append(gap_ms)
        self.reading = reading


def view_of(oled: Oled) -> OledView:
    digest = hashlib.sha256(b"%d %d " % (oled.width, oled.on) + oled.frame).hexdigest()[:16]
    return OledView(oled.width, oled.height, oled.on, digest)


class State:
    """The newest value of every topic. What exceeds a limit is counted in `refused` and dropped."""

    def __init__(self) -> None:
        self.refused = 0
        self.outdated = 0
        self.last_update_ms: int | None = None
        # Counts new topics and new fields of readings: the page needs new elements for each.
        self.shape = 0
        self._presences: dict[str, NodePresence] = {}
        self._entries: dict[str, Change] = {}
        self._sensors: dict[Topic, _Sensor] = {}
        self._plugins: set[Topic] = set()
        self._pictures: dict[str, Oled] = {}
        self._logs: dict[str, deque[Change]] = {}

    def apply(self, topic: Topic, message: Message, now_ms: int) -> list[Change]:
        """Apply a message; return the changes, which may be none."""
        if not self._is_within_limits(topic, message):
            self.refused += 1
            return []
        presence = self._presences.get(topic.node)
        if presence is None:
            presence = self._presences[topic.node] = NodePresence()
        before = presence.view
        presence.on_message(message, now_ms)
        changes = self._store(topic, message, presence, now_ms)
        changed = presence.update(now_ms)
        if changed or presence.status is not before.status:
            changes.insert(0, self._keep(Topic(topic.node, TopicKind.STATUS), presence.view))
        return changes

    def sweep(self, now_ms: int) -> list[Change]:
        """Return a change of presence for every node that fell silent since the last call."""
        return [
            self._keep(Topic(node, TopicKind.STATUS), presence.view)
            for node, presence in self._presences.items()
            if presence.update(now_ms)
        ]

    def snapshot(self, now_ms: int, log_lines: int = LOG_LINES_PER_NODE) -> Snapshot:
        """Return everything, with at most the `log_lines` newest log lines of each node."""
        logs = [line for ring in self._logs.values() for line in list(ring)[-log_lines:]]
        return Snapshot(now_ms, list(self._entries.values()), logs)

    def of_kind(self, kind: TopicKind) -> list[Change]:
        """Return the newest value of every topic of one kind, in the order they first appeared."""
        return [entry for entry in self._entries.values() if entry.kind is kind]

    def of_node(self, node: str) -> list[Change]:
        return [entry for entry in self._entries.values() if entry.node == node]

    @property
    def nodes(self) -> list[str]:
        return list(self._presences)

    def presence(self, node: str) -> NodePresence:
        """Return the presence of a node. Raises KeyError for an unknown one."""
        return self._presences[node]

    def logs(self, node: str | None, limit: int) -> list[Change]:
        """Return the `limit` newest log lines of one node, or of all by time; newest last."""
        if node is not None:
            return list(self._logs.get(node, ()))[-limit:]
        lines = [line for ring in self._logs.values() for line in ring]
        return sorted(lines, key=lambda line: line.value.timestamp_ms)[-limit:]

    def picture(self, node: str) -> Oled | None:
        """Return the content of a node's display, or None where the node has published none."""
        return self._pictures.get(node)

    def _is_within_limits(self, topic: Topic, message: Message) -> bool:
        if topic.node not in self._presences and len(self._presences) >= MAX_NODES:
            return False
        if isinstance(message, Reading):
            fits = topic in self._sensors or len(self._sensors) < MAX_SENSORS
            return fits and len(message.data) <= MAX_FIELDS
        if topic.kind is TopicKind.PLUGIN:
            return topic in self._plugins or len(self._plugins) < MAX_PLUGINS
        return True

    def _store(
        self, topic: Topic, message: Message, presence: NodePresence, now_ms: int
    ) -> list[Change]:
        if topic.kind in _KINDS_WITHOUT_ENTRY:
            return []
        if isinstance(message, Log):
            return [self._keep_log(topic, message)]
        if isinstance(message, Reading):
            return self._keep_reading(topic, message, presence, now_ms)
        if isinstance(message, Oled):
            self._pictures[topic.node] = message
            return [self._keep(topic, view_of(message))]
        if topic.kind is TopicKind.PLUGIN:
            self._plugins.add(topic)
        return [self._keep(topic, message)]

    def _keep(self, topic: Topic, value: Any) -> Change:
        text = str(topic)
        change = Change(text, topic.kind, topic.node, topic.name, value)
        if text not in self._entries:
            self.shape += 1
        self._entries[text] = change
        return change

    def _keep_log(self, topic: Topic, line: Log) -> Change:
        change = Change(str(topic), topic.kind, topic.node, topic.name, line)
        ring = self._logs.get(topic.node)
        if ring is None:
            ring = self._logs[topic.node] = deque(maxlen=LOG_LINES_PER_NODE)
            self.shape += 1
        ring.append(change)
        return change

    def _keep_reading(
        self, topic: Topic, reading: Reading, presence: NodePresence, now_ms: int
    ) -> list[Change]:
        sensor = self._sensors.get(topic)
        if sensor is None:
            sensor = self._sensors[topic] = _Sensor(reading)
        elif sensor.is_newer(reading):
            if not reading.data.keys() <= sensor.reading.data.keys():
                self.shape += 1
            sensor.advance(reading)
        else:
            self.outdated += 1
            return []
        self.last_update_ms = now_ms
        return [self._keep(topic, _reading_view(topic, sensor, presence, now_ms))]


def _reading_view(
    topic: Topic, sensor: _Sensor, presence: NodePresence, now_ms: int
) -> ReadingView:
    reading = sensor.reading
    cycle_ms = max(presence.interval_ms, min(sensor.gaps_ms, default=0))
    return ReadingView(
        sensor_id=global_sensor_id(topic.node, topic.name),
        timestamp_ms=reading.timestamp_ms,
        data=reading.data,
        at_ms=min(now_ms, reading.timestamp_ms + presence.clock_offset_ms),
        stale_after_ms=MISSED_CYCLES * cycle_ms,
    )
