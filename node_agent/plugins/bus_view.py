"""Newest readings and roles of all nodes, as heard on the bus, for plugins that show them."""

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from bus.contract.messages import Reading, Status, decode
from bus.contract.topics import Topic, TopicKind, global_sensor_id
from bus.errors import BadDataError

# More sensors than this are a mistake or malice; new ones are ignored then.
_MAX_SENSORS = 2000


class _Arrival(NamedTuple):
    """A reading of `node` and when it arrived, on this node's monotonic clock, in ms."""

    node: str
    reading: Reading
    at_ms: float


class BusView:
    """Fed by the bus client's thread, read by plugins' threads."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._readings: dict[str, _Arrival] = {}
        # The last arrival of each node shows how far its clock is off.
        self._last: dict[str, _Arrival] = {}
        self._nodes: dict[str, Status] = {}
        self._lock = threading.Lock()

    def hear(self, topic: Topic, payload: bytes) -> None:
        """Take in a reading or status. Raises BadDataError where it is neither."""
        message = decode(topic, payload)
        with self._lock:
            if isinstance(message, Reading):
                self._hear_reading(topic, message)
            elif isinstance(message, Status):
                self._nodes[topic.node] = message
            else:
                raise BadDataError(f"{topic}: expected {TopicKind.READING} or {TopicKind.STATUS}")

    def _hear_reading(self, topic: Topic, reading: Reading) -> None:
        sensor = global_sensor_id(topic.node, topic.name)
        if sensor in self._readings or len(self._readings) < _MAX_SENSORS:
            arrival = _Arrival(topic.node, reading, self._monotonic_s() * 1000)
            self._readings[sensor] = self._last[topic.node] = arrival

    def as_json(self) -> str:
        """Return `{"readings": [...], "last_update": ms, "nodes": {...}}`, as HTTP serves it.

        Each reading also has `age_ms` by this node's clock: `timestamp_ms` is by the clock of the
        node that measured, which may be wrong.
        """
        with self._lock:
            readings, nodes, last = dict(self._readings), dict(self._nodes), dict(self._last)
        now_ms = self._monotonic_s() * 1000
        view: dict[str, Any] = {
            "readings": [
                {
                    "sensor_id": sensor,
                    "timestamp_ms": arrival.reading.timestamp_ms,
                    "age_ms": _age_ms(arrival, last[arrival.node], now_ms),
                    "data": arrival.reading.data,
                }
                for sensor, arrival in readings.items()
            ],
            "last_update": max((a.reading.timestamp_ms for a in readings.values()), default=0),
            "nodes": {node: {"role": s.role, "state": s.state} for node, s in nodes.items()},
        }
        return msgspec.json.encode(view).decode()


def _age_ms(arrival: _Arrival, last: _Arrival, now_ms: float) -> int:
    """Return how long ago a reading was measured.

    A retained one arrives long after it was measured. By how much, its own node's clock tells:
    compared with the node's last reading, it is older than its arrival shows.
    """
    older_ms = last.reading.timestamp_ms - arrival.reading.timestamp_ms
    arrived_earlier_ms = last.at_ms - arrival.at_ms
    return round(now_ms - arrival.at_ms + max(0.0, older_ms - arrived_earlier_ms))
