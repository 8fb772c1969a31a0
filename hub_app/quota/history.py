"""Quotas of the history: each node's sensors, streams, sets of field names, and bytes a day.

Places are taken within the transaction of the writer, which is thrown away where that fails.
"""

import sqlite3

from bus.config.limits_table import LimitsConfig
from hub_app.quota.refusals import Reason

_DAY_MS = 86_400_000
_BYTES_PER_MB = 1_000_000
# What a reading costs in the file beside its values, roughly: keys, times and its span.
ROW_BYTES = 60


class HistoryQuota:
    """Places that nodes have taken in the history of `db`."""

    def __init__(self, db: sqlite3.Connection, limits: LimitsConfig) -> None:
        self._limits = limits
        self._silent_ms = round(limits.silent_days * _DAY_MS)
        # Node -> sensor -> when its newest reading arrived, or was taken where that is not known.
        self._sensors: dict[str, dict[str, int]] = {}
        self._streams: dict[str, int] = {}
        self._field_sets: dict[str, int] = {}
        self._day = 0
        self._bytes: dict[str, int] = {}
        self.load(db)

    def load(self, db: sqlite3.Connection) -> None:
        """Count what is in the file."""
        self._sensors = {}
        for node, sensor, bucket_ms in db.execute(
            "SELECT node.name, sensor.name, coalesce("
            "(SELECT max(bucket_ms) FROM span WHERE span.sensor = sensor.id),"
            " (SELECT max(timestamp_ms) FROM unmoved WHERE unmoved.sensor = sensor.id), 0)"
            " FROM sensor JOIN node ON node.id = sensor.node"
        ):
            self._sensors.setdefault(node, {})[sensor] = bucket_ms
        self._streams = _counts(
            db, "SELECT node.name, count(*) FROM stream JOIN node ON node.id = node GROUP BY 1"
        )
        self._field_sets = _counts(
            db,
            "SELECT node.name, count(*) FROM sensor_shape JOIN sensor ON sensor.id = sensor"
            " JOIN node ON node.id = node GROUP BY 1",
        )

    def sensor(self, node: str, sensor: str, now_ms: int) -> Reason | None:
        """Take the place of a sensor; return the quota that this would exceed."""
        known = self._sensors.get(node)
        if known is None:
            self._forget_silent_nodes(now_ms)
            if len(self._sensors) >= self._limits.nodes:
                return Reason.NODES
            known = self._sensors[node] = {}
        if sensor not in known and len(known) >= self._limits.sensors:
            self._forget_silent_sensors(known, now_ms)
            if len(known) >= self._limits.sensors:
                return Reason.SENSORS
        known[sensor] = now_ms
        return None

    def stream(self, node: str) -> Reason | None:
        """Take the place of a new stream."""
        return _take(self._streams, node, self._limits.streams, Reason.STREAMS)

    def field_set(self, node: str) -> Reason | None:
        """Take the place of a new set of field names."""
        return _take(self._field_sets, node, self._limits.field_sets, Reason.FIELD_SETS)

    def size(self, node: str, data_bytes: int, now_ms: int) -> Reason | None:
        """Count the bytes of a reading."""
        if now_ms // _DAY_MS != self._day:
            self._day = now_ms // _DAY_MS
            self._bytes.clear()
        grown = self._bytes.get(node, 0) + data_bytes + ROW_BYTES
        if grown > self._limits.history_mb_per_day * _BYTES_PER_MB:
            return Reason.HISTORY_MB
        self._bytes[node] = grown
        return None

    def _forget_silent_nodes(self, now_ms: int) -> None:
        for node in list(self._sensors):
            self._forget_silent_sensors(self._sensors[node], now_ms)
            if not self._sensors[node]:
                del self._sensors[node]

    def _forget_silent_sensors(self, sensors: dict[str, int], now_ms: int) -> None:
        for sensor in [name for name, at_ms in sensors.items() if now_ms - at_ms > self._silent_ms]:
            del sensors[sensor]


def _take(counts: dict[str, int], node: str, most: int, reason: Reason) -> Reason | None:
    count = counts.get(node, 0)
    if count >= most:
        return reason
    counts[node] = count + 1
    return None


def _counts(db: sqlite3.Connection, query: str) -> dict[str, int]:
    return dict(db.execute(query).fetchall())
