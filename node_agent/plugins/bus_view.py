"""Newest readings of all nodes with their descriptions, and roles, for plugins that show them.

A plugin's memory is small, and every node writes into it: what is kept is bounded by its bytes. A
node that sends more than its share displaces readings of its own, never another's.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from bus.contract.description import SensorDescription
from bus.contract.messages import Reading, Status, Value, decode, encode
from bus.contract.topics import Topic, TopicKind, global_sensor_id
from bus.errors import BadDataError
from bus.limited_log import LimitedLog

logger = logging.getLogger(__name__)

# 64 fields, as a plugin may return, take some 2 KB.
MAX_READING_BYTES = 8 * 1024
MAX_DESCRIPTION_BYTES = 32 * 1024
# Some 600 readings of usual size with their descriptions; a plugin parses them within its 32 MB.
MAX_BYTES = 512 * 1024
MAX_NODES = 256
_LEFT_OUT = "left out"


class _Arrival(NamedTuple):
    """A reading as it arrived, on this node's monotonic clock, in ms, and its payload's size."""

    timestamp_ms: int
    data: dict[str, Value]
    at_ms: float
    size: int


class _Node:
    """Readings of one node by sensor, the newest last, and what the node says of its sensors."""

    def __init__(self) -> None:
        self.readings: OrderedDict[str, _Arrival] = OrderedDict()
        # As JSON.
        self.descriptions: dict[str, bytes] = {}
        self.size = 0
        # Time and arrival of the last reading show how far the node's clock is off.
        self.last_timestamp_ms = 0
        self.last_at_ms = 0.0

    def put(self, sensor: str, arrival: _Arrival) -> None:
        self._remove_reading(sensor)
        self.readings[sensor] = arrival
        self.size += arrival.size
        self.last_timestamp_ms, self.last_at_ms = arrival.timestamp_ms, arrival.at_ms

    def describe(self, sensor: str, description: bytes) -> None:
        """Keep a description; an empty one removes it."""
        self.size -= len(self.descriptions.pop(sensor, b""))
        if description:
            self.descriptions[sensor] = description
            self.size += len(description)

    def remove_oldest(self) -> None:
        """Drop the oldest reading with its description; without readings, any description."""
        sensor = next(iter(self.readings or self.descriptions))
        self._remove_reading(sensor)
        self.describe(sensor, b"")

    def _remove_reading(self, sensor: str) -> None:
        former = self.readings.pop(sensor, None)
        self.size -= 0 if former is None else former.size


class BusView:
    """Fed by the bus client's thread, read by plugins' threads."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._nodes: dict[str, _Node] = {}
        self._statuses: dict[str, Status] = {}
        self._size = 0
        self._log = LimitedLog(logger, monotonic_s=monotonic_s)
        self._lock = threading.Lock()

    def hear(self, topic: Topic, payload: bytes) -> None:
        """Take in a reading, a description of a sensor or a status.

        Raises BadDataError where it is none of them.
        """
        is_description = topic.kind is TopicKind.SENSOR
        most = MAX_DESCRIPTION_BYTES if is_description else MAX_READING_BYTES
        if len(payload) > most:
            self._log_left_out(topic, f"{len(payload)} bytes, expected {most} at most")
            return
        if is_description and not payload:
            self._hear(topic, b"")
            return
        message = decode(topic, payload)
        if isinstance(message, Reading):
            at_ms = self._monotonic_s() * 1000
            self._hear(topic, _Arrival(message.timestamp_ms, message.data, at_ms, len(payload)))
        elif isinstance(message, SensorDescription):
            self._hear(topic, encode(message))
        elif isinstance(message, Status):
            with self._lock:
                if topic.node in self._statuses or len(self._statuses) < MAX_NODES:
                    self._statuses[topic.node] = message
        else:
            expected = f"{TopicKind.READING}, {TopicKind.SENSOR} or {TopicKind.STATUS}"
            raise BadDataError(f"{topic}: expected {expected}")

    def _hear(self, topic: Topic, heard: _Arrival | bytes) -> None:
        with self._lock:
            problem = self._put(topic, heard)
        # Logged without the lock: a log handler may publish, and publishing may take other locks.
        if problem:
            self._log_left_out(topic, problem)

    def _put(self, topic: Topic, heard: _Arrival | bytes) -> str:
        """Keep a reading or a description; return what was left out for it, or nothing."""
        if topic.node not in self._nodes and len(self._nodes) >= MAX_NODES:
            return f"more than {MAX_NODES} nodes have readings"
        node = self._nodes.setdefault(topic.node, _Node())
        self._size -= node.size
        if isinstance(heard, bytes):
            node.describe(topic.name, heard)
        else:
            node.put(topic.name, heard)
        self._size += node.size
        displaced = self._make_room()
        if not displaced:
            return ""
        return f"all readings exceed {MAX_BYTES} bytes, so the oldest of {displaced} gave way"

    def _make_room(self) -> str:
        """Drop the oldest readings of whoever has most; return the last node that lost one."""
        displaced = ""
        while self._size > MAX_BYTES:
            displaced = max(self._nodes, key=lambda name: self._nodes[name].size)
            node = self._nodes[displaced]
            self._size -= node.size
            node.remove_oldest()
            self._size += node.size
        return displaced

    def _log_left_out(self, topic: Topic, reason: str) -> None:
        self._log.warning(_LEFT_OUT, "plugins are not shown all readings: %s: %s", topic, reason)

    def latest(self, node: str, sensor: str) -> str | None:
        """Return the newest reading of one sensor as JSON, like one of `as_json`, else None."""
        now_ms = self._monotonic_s() * 1000
        with self._lock:
            found = self._nodes.get(node)
            if found is None or sensor not in found.readings:
                return None
            shown = _shown(node, sensor, found, now_ms)
        return msgspec.json.encode(shown).decode()

    def as_json(self) -> str:
        """Return `{"readings": [...], "last_update": ms, "nodes": {...}}`, as HTTP serves it.

        Each reading also has `age_ms` by this node's clock: `timestamp_ms` is by the clock of the
        node that measured, which may be wrong. `description` is what `sensors/<sensor>` says.
        """
        now_ms = self._monotonic_s() * 1000
        with self._lock:
            readings = [
                _shown(name, sensor, node, now_ms)
                for name, node in self._nodes.items()
                for sensor in node.readings
            ]
            last_update_ms = max(
                (a.timestamp_ms for node in self._nodes.values() for a in node.readings.values()),
                default=0,
            )
            statuses = dict(self._statuses)
        view: dict[str, Any] = {
            "readings": readings,
            "last_update": last_update_ms,
            "nodes": {node: {"role": s.role, "state": s.state} for node, s in statuses.items()},
        }
        return msgspec.json.encode(view).decode()


def _shown(name: str, sensor: str, node: _Node, now_ms: float) -> dict[str, Any]:
    arrival, description = node.readings[sensor], node.descriptions.get(sensor)
    described = {} if description is None else {"description": msgspec.Raw(description)}
    return {
        "sensor_id": global_sensor_id(name, sensor),
        "timestamp_ms": arrival.timestamp_ms,
        "age_ms": _age_ms(arrival, node, now_ms),
        "data": arrival.data,
        **described,
    }


def _age_ms(arrival: _Arrival, node: _Node, now_ms: float) -> int:
    """Return how long ago a reading was measured.

    A retained one arrives long after it was measured. By how much, its own node's clock tells:
    compared with the node's last reading, it is older than its arrival shows.
    """
    older_ms = node.last_timestamp_ms - arrival.timestamp_ms
    arrived_earlier_ms = node.last_at_ms - arrival.at_ms
    return round(now_ms - arrival.at_ms + max(0.0, older_ms - arrived_earlier_ms))
