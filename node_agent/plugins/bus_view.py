"""The newest readings and roles of all nodes as heard on the bus, for plugins that show them."""

import threading
from typing import Any

import msgspec

from bus.contract.messages import Reading, Status, decode
from bus.contract.topics import Topic, TopicKind, global_sensor_id
from bus.errors import BadDataError

# More than this many sensors are a mistake or malice; what is known stays.
_MAX_SENSORS = 2000


class BusView:
    """Fed by the bus client's thread, read by plugins' threads."""

    def __init__(self) -> None:
        self._readings: dict[str, Reading] = {}
        self._nodes: dict[str, Status] = {}
        self._lock = threading.Lock()

    def hear(self, topic: Topic, payload: bytes) -> None:
        """Take in a reading or status. Raises BadDataError where it is neither."""
        message = decode(topic, payload)
        with self._lock:
            if isinstance(message, Reading):
                self._hear_reading(global_sensor_id(topic.node, topic.name), message)
            elif isinstance(message, Status):
                self._nodes[topic.node] = message
            else:
                raise BadDataError(f"{topic}: expected {TopicKind.READING} or {TopicKind.STATUS}")

    def _hear_reading(self, sensor: str, reading: Reading) -> None:
        if sensor in self._readings or len(self._readings) < _MAX_SENSORS:
            self._readings[sensor] = reading

    def as_json(self) -> str:
        """Return `{"readings": [...], "last_update": ms, "nodes": {...}}`, as HTTP serves it."""
        with self._lock:
            readings, nodes = dict(self._readings), dict(self._nodes)
        view: dict[str, Any] = {
            "readings": [
                {"sensor_id": sensor, "timestamp_ms": r.timestamp_ms, "data": r.data}
                for sensor, r in readings.items()
            ],
            "last_update": max((r.timestamp_ms for r in readings.values()), default=0),
            "nodes": {node: {"role": s.role, "state": s.state} for node, s in nodes.items()},
        }
        return msgspec.json.encode(view).decode()
