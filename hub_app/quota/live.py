"""Quotas of the live state: nodes, and each node's named topics, bytes, lines and events. Pure."""

from collections.abc import Iterator

import msgspec

from bus.config.limits_table import LimitsConfig
from bus.contract.messages import Event, Log, Message, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.quota.rate import RateQuota
from hub_app.quota.refusals import Reason

_KB = 1024


class QuotaUse(msgspec.Struct, frozen=True):
    """Use of one quota; `node` is empty for those of the hub. `quota` is the key of its table."""

    node: str
    quota: str
    used: float
    limit: float


class _Places:
    """Places of one node: the size of each topic that is kept, by kind."""

    def __init__(self) -> None:
        self.sizes: dict[TopicKind, dict[Topic, int]] = {}
        self.bytes = 0


class LiveQuota:
    """Places that are taken in the live state."""

    def __init__(self, limits: LimitsConfig) -> None:
        self._limits = limits
        # The kinds that take a place: the most of one node, and the reason for a refusal.
        self._named = {
            TopicKind.READING: (limits.sensors, Reason.SENSORS),
            TopicKind.SENSOR: (limits.sensors, Reason.SENSORS),
            TopicKind.ABOUT: (1, Reason.SENSORS),
            TopicKind.PLUGIN: (limits.plugins, Reason.PLUGINS),
            TopicKind.DELIVERY: (limits.plugins, Reason.PLUGINS),
            TopicKind.RECORD: (limits.plugins, Reason.PLUGINS),
            TopicKind.SHADOW: (limits.plugins, Reason.PLUGINS),
            TopicKind.RESULT: (limits.actuators, Reason.ACTUATORS),
            TopicKind.ALARM: (limits.alarms, Reason.ALARMS),
        }
        self._nodes: dict[str, _Places] = {}
        self._lines = RateQuota(limits.log_lines_per_minute)
        self._events = RateQuota(limits.events_per_minute)

    def refusal(self, topic: Topic, message: Message, now_ms: int) -> Reason | None:
        """Take the place of a message; return the quota that it exceeds, None where it fits."""
        places = self._nodes.get(topic.node)
        if places is None:
            if len(self._nodes) >= self._limits.nodes:
                return Reason.NODES
            places = self._nodes[topic.node] = _Places()
        if isinstance(message, Log):
            return None if self._lines.admits(topic.node, now_ms) else Reason.LOG_LINES
        if isinstance(message, Event):
            return None if self._events.admits(topic.node, now_ms) else Reason.EVENTS
        if topic.kind in self._named:
            return self._take(places, topic, message)
        # The other kinds have one topic a node, and bounds of their own.
        return None

    def free(self, topic: Topic) -> None:
        """Free the place of a topic that is gone."""
        places = self._nodes.get(topic.node)
        if places is not None:
            places.bytes -= places.sizes.get(topic.kind, {}).pop(topic, 0)

    def free_node(self, node: str) -> None:
        """Free every place of a node."""
        self._nodes.pop(node, None)

    def uses(self) -> Iterator[QuotaUse]:
        """Yield the use of every quota that is a number of places or bytes."""
        limits = self._limits
        yield QuotaUse("", Reason.NODES, len(self._nodes), limits.nodes)
        # Copied, as nodes may come and go while others use what is yielded.
        for node, places in tuple(self._nodes.items()):
            yield QuotaUse(node, Reason.LIVE_KB, places.bytes / _KB, limits.live_kb)
            for kind, (most, reason) in self._named.items():
                # A node's one description of itself always fills its place.
                if kind is not TopicKind.ABOUT:
                    yield QuotaUse(node, reason, len(places.sizes.get(kind, ())), most)

    def _take(self, places: _Places, topic: Topic, message: Message) -> Reason | None:
        taken = places.sizes.setdefault(topic.kind, {})
        most, reason = self._named[topic.kind]
        if topic not in taken and len(taken) >= most:
            return reason
        # Alarms are the hub's own, and few: a node that fills its place loses none. The content of
        # a record is in a file.
        is_free = topic.kind in (TopicKind.ALARM, TopicKind.RECORD)
        size = 0 if is_free else len(encode(message))
        grown = places.bytes + size - taken.get(topic, 0)
        if grown > self._limits.live_kb * _KB:
            return Reason.LIVE_KB
        places.bytes = grown
        taken[topic] = size
        return None
