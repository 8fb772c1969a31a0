"""Quotas of the history: each node's sensors, streams, sets of field names, and bytes a day.

Places are taken within the transaction of the writer, which is thrown away where that fails.
"""

import sqlite3
from collections.abc import Iterator

import msgspec

from bus.clock import DAY_MS
from bus.config.limits_table import LimitsConfig
from hub_app.quota.live import QuotaUse
from hub_app.quota.refusals import Reason

_BYTES_PER_MB = 1_000_000
# What a reading costs in the file beside its values, roughly: keys, times and its span.
ROW_BYTES = 60
# The arrival of a sensor is noted anew after such a part of the time until it counts as silent, as
# each note is a row in the file.
_NOTED_PARTS = 24


class Wanted(msgspec.Struct, frozen=True):
    """Places that a new reading needs."""

    node: str
    sensor: str
    is_new_stream: bool
    is_new_field_set: bool
    data_bytes: int


class HistoryQuota:
    """Places that nodes have taken in the history of `db`."""

    def __init__(self, db: sqlite3.Connection, limits: LimitsConfig) -> None:
        self._limits = limits
        self._silent_ms = round(limits.silent_days * DAY_MS)
        self._noted_ms = self._silent_ms // _NOTED_PARTS
        self._most_bytes = limits.history_mb_per_day * _BYTES_PER_MB
        # Node -> sensor -> when a reading of it last arrived, to a small part of that time.
        self._sensors: dict[str, dict[str, int]] = {}
        self._unwritten: list[tuple[int, str, str]] = []
        self._streams: dict[str, int] = {}
        self._field_sets: dict[str, int] = {}
        self._day = 0
        self._bytes: dict[str, int] = {}
        self.load(db)

    def load(self, db: sqlite3.Connection) -> None:
        """Count what is in the file. What is hidden there, to be deleted, takes no place."""
        self._sensors = {}
        for node, sensor, arrived_ms in db.execute(
            "SELECT node.name, sensor.name, coalesce(arrived.at_ms, 0)"
            " FROM sensor JOIN node ON node.id = sensor.node"
            " LEFT JOIN arrived ON arrived.sensor = sensor.id"
            " WHERE substr(sensor.name, 1, 1) NOT IN ('-', '_') AND substr(node.name, 1, 1) != '-'"
        ):
            self._sensors.setdefault(node, {})[sensor] = arrived_ms
        self._streams = _counts(
            db, "SELECT node.name, count(*) FROM stream JOIN node ON node.id = node GROUP BY 1"
        )
        self._field_sets = _counts(
            db,
            "SELECT node.name, count(*) FROM sensor_shape JOIN sensor ON sensor.id = sensor"
            " JOIN node ON node.id = node GROUP BY 1",
        )

    def take(self, wanted: Wanted, now_ms: int) -> Reason | None:
        """Take every place that a reading needs, or none; return the quota that it exceeds."""
        reason = self._exceeded(wanted, now_ms)
        if reason is not None:
            return reason
        node = wanted.node
        self._note_arrival(node, wanted.sensor, now_ms)
        if wanted.is_new_stream:
            self._streams[node] = self._streams.get(node, 0) + 1
        if wanted.is_new_field_set:
            self._field_sets[node] = self._field_sets.get(node, 0) + 1
        self._bytes[node] = self._bytes.get(node, 0) + wanted.data_bytes + ROW_BYTES
        return None

    def take_again(self, node: str, sensor: str, data_bytes: int, now_ms: int) -> Reason | None:
        """Take the place of a reading whose stream and fields have theirs. See `take`."""
        arrived_ms = self._sensors.get(node, {}).get(sensor)
        if arrived_ms is None or now_ms // DAY_MS != self._day:
            wanted = Wanted(node, sensor, False, False, data_bytes)
            return self.take(wanted, now_ms)
        grown = self._bytes.get(node, 0) + data_bytes + ROW_BYTES
        if grown > self._most_bytes:
            return Reason.HISTORY_MB
        self._bytes[node] = grown
        if abs(now_ms - arrived_ms) > self._noted_ms:
            self._note_arrival(node, sensor, now_ms)
        return None

    def write_arrivals(self, db: sqlite3.Connection) -> None:
        """Write when sensors last arrived. Within the transaction that has stored their readings.

        The times of readings say nothing of that: the clock of a node may be years behind.
        """
        if self._unwritten:
            db.executemany(
                "INSERT OR REPLACE INTO arrived SELECT sensor.id, ? FROM sensor"
                " JOIN node ON node.id = sensor.node WHERE node.name = ? AND sensor.name = ?",
                self._unwritten,
            )
            self._unwritten = []

    def uses(self) -> Iterator[QuotaUse]:
        """Yield the use of every quota but that of sensors. Any thread may call."""
        limits = self._limits
        used = (
            (Reason.STREAMS, self._streams, 1, limits.streams),
            (Reason.FIELD_SETS, self._field_sets, 1, limits.field_sets),
            (Reason.HISTORY_MB, self._bytes, _BYTES_PER_MB, limits.history_mb_per_day),
        )
        for reason, counts, unit, limit in used:
            # Copied at once: the history's thread goes on.
            for node, count in counts.copy().items():
                yield QuotaUse(node, reason, count / unit, limit)

    def _note_arrival(self, node: str, sensor: str, now_ms: int) -> None:
        sensors = self._sensors.setdefault(node, {})
        if abs(now_ms - sensors.get(sensor, 0)) > self._noted_ms:
            sensors[sensor] = now_ms
            self._unwritten.append((now_ms, node, sensor))

    def _exceeded(self, wanted: Wanted, now_ms: int) -> Reason | None:
        node, limits = wanted.node, self._limits
        if wanted.is_new_stream and self._streams.get(node, 0) >= limits.streams:
            return Reason.STREAMS
        reason = self._exceeded_by_sensor(node, wanted.sensor, now_ms)
        if reason is not None:
            return reason
        if wanted.is_new_field_set and self._field_sets.get(node, 0) >= limits.field_sets:
            return Reason.FIELD_SETS
        if now_ms // DAY_MS != self._day:
            self._day = now_ms // DAY_MS
            self._bytes.clear()
        grown = self._bytes.get(node, 0) + wanted.data_bytes + ROW_BYTES
        return Reason.HISTORY_MB if grown > self._most_bytes else None

    def _exceeded_by_sensor(self, node: str, sensor: str, now_ms: int) -> Reason | None:
        if node not in self._sensors and len(self._sensors) >= self._limits.nodes:
            self._forget_silent_nodes(now_ms)
            if len(self._sensors) >= self._limits.nodes:
                return Reason.NODES
        known = self._sensors.get(node, {})
        if sensor not in known and len(known) >= self._limits.sensors:
            self._forget_silent_sensors(known, now_ms)
            if len(known) >= self._limits.sensors:
                return Reason.SENSORS
        return None

    def _forget_silent_nodes(self, now_ms: int) -> None:
        for node in list(self._sensors):
            self._forget_silent_sensors(self._sensors[node], now_ms)
            if not self._sensors[node]:
                del self._sensors[node]

    def _forget_silent_sensors(self, sensors: dict[str, int], now_ms: int) -> None:
        for sensor in [name for name, at_ms in sensors.items() if now_ms - at_ms > self._silent_ms]:
            del sensors[sensor]


def _counts(db: sqlite3.Connection, query: str) -> dict[str, int]:
    return dict(db.execute(query).fetchall())
