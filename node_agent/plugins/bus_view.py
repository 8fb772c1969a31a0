"""Newest readings and roles of all nodes, as heard on the bus, for plugins that show them.

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

from bus.contract.messages import Reading, Status, Value, decode
from bus.contract.topics import Topic, TopicKind, global_sensor_id
from bus.errors import BadDataError
from bus.limited_log import LimitedLog

logger = logging.getLogger(__name__)

# 64 fields, as a plugin may return, take some 2 KB.
MAX_READING_BYTES = 8 * 1024
# Some 800 readings of usual size; a plugin parses them within its 32 MB.
MAX_BYTES = 256 * 1024
MAX_NODES = 256
_LEFT_OUT = "left out"


class _Arrival(NamedTuple):
    """A reading as it arrived, on this node's monotonic clock, in ms, and its payload's size."""

    timestamp_ms: int
    data: dict[str, Value]
    at_ms: float
    size: int


class _Node:
    """Readings of one node by sensor, the newest last."""

    def __init__(self) -> None:
        self.readings: OrderedDict[str, _Arrival] = OrderedDict()
        self.size = 0
        # Time and arrival of the last reading show how far the node's clock is off.
        self.last_timestamp_ms = 0
        self.last_at_ms = 0.0

    def put(self, sensor: str, arrival: _Arrival) -> None:
        self.remove(sensor)
        self.readings[sensor] = arrival
        self.size += arrival.size
        self.last_timestamp_ms, self.last_at_ms = arrival.timestamp_ms, arrival.at_ms

    def remove(self, sensor: str) -> None:
        former = self.readings.pop(sensor, None)
        self.size -= 0 if former is None else former.size

    def remove_oldest(self) -> None:
        self.remove(next(iter(self.readings)))


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
        """Take in a reading or status. Raises BadDataError where it is neither."""
        if len(payload) > MAX_READING_BYTES:
            self._log_left_out(topic, f"{len(payload)} bytes, expected {MAX_READING_BYTES} at most")
            return
        message = decode(topic, payload)
        if isinstance(message, Reading):
            self._hear_reading(topic, message, len(payload))
        elif isinstance(message, Status):
            with self._lock:
                if topic.node in self._statuses or len(self._statuses) < MAX_NODES:
                    self._statuses[topic.node] = message
        else:
            raise BadDataError(f"{topic}: expected {TopicKind.READING} or {TopicKind.STATUS}")

    def _hear_reading(self, topic: Topic, reading: Reading, size: int) -> None:
        at_ms = self._monotonic_s() * 1000
        with self._lock:
            problem = self._put(topic, _Arrival(reading.timestamp_ms, reading.data, at_ms, size))
        # Logged without the lock: a log handler may publish, and publishing may take other locks.
        if problem:
            self._log_left_out(topic, problem)

    def _put(self, topic: Topic, arrival: _Arrival) -> str:
        """Keep a reading; return what was left out for it, or nothing."""
        if topic.node not in self._nodes and len(self._nodes) >= MAX_NODES:
            return f"more than {MAX_NODES} nodes have readings"
        node = self._nodes.setdefault(topic.node, _Node())
        self._size -= node.size
        node.put(topic.name, arrival)
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
        node that measured, which may be wrong.
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
    arrival = node.readings[sensor]
    return {
        "sensor_id": global_sensor_id(name, sensor),
        "timestamp_ms": arrival.timestamp_ms,
        "age_ms": _age_ms(arrival, node, now_ms),
        "data": arrival.data,
    }


def _age_ms(arrival: _Arrival, node: _Node, now_ms: float) -> int:
    """Return how long ago a reading was measured.

    A retained one arrives long after it was measured. By how much, its own node's clock tells:
    compared with the node's last reading, it is older than its arrival shows.
    """
    older_ms = node.last_timestamp_ms - arrival.timestamp_ms
    arrived_earlier_ms = node.last_at_ms - arrival.at_ms
    return round(now_ms - arrival.at_ms + max(0.0, older_ms - arrived_earlier_ms))
