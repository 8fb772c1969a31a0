"""A known history: a sine of a day with a gap of two hours and a spike of one sample."""

import contextlib
import math
import sqlite3
from pathlib import Path

from bus.config.history_table import HistoryConfig
from bus.contract.messages import Reading
from bus.files.database import transaction
from hub_app.history.events import PRESENCE, Event
from hub_app.history.query.known_names import FILE_NAME
from hub_app.history.retention.housekeeping import Housekeeping
from hub_app.history.schema import BUCKET_MS, open_history
from hub_app.history.writer import Arrival, Writer

NODE, SENSOR = "attic", "dht22-sine"
STEP_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# From the end of the gap to the spike.
SPIKE_AFTER_MS = 10 * STEP_MS
# Their rows are written as they would be after downsampling and expiry.
_MEANS_DAYS = 365


class Sine:
    """Values of a node and their times, relative to `now_ms`, their end."""

    def __init__(
        self,
        now_ms: int,
        node: str = NODE,
        *,
        middle: float = 20.0,
        swing: float = 5.0,
        spike: float = 60.0,
        gap_ended_ago_ms: int = 3 * HOUR_MS,
    ) -> None:
        self.node = node
        self.middle, self.swing, self.spike = middle, swing, spike
        self.to_ms = now_ms - now_ms % BUCKET_MS
        self.raw_from_ms = self.to_ms - 2 * DAY_MS
        self.gap_to_ms = self.to_ms - gap_ended_ago_ms
        self.gap_from_ms = self.gap_to_ms - 2 * HOUR_MS
        self.spike_ms = self.gap_to_ms + SPIKE_AFTER_MS

    @property
    def gap(self) -> tuple[int, int]:
        return self.gap_from_ms, self.gap_to_ms

    def value(self, at_ms: int) -> float:
        return self.middle + self.swing * math.sin(2 * math.pi * at_ms / DAY_MS)

    def write(self, state_dir: Path) -> None:
        """Write the history into the file that a hub with this state directory uses."""
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.closing(open_history(state_dir / FILE_NAME)) as db:
            writer = Writer(db)
            arrivals = [Arrival(reading, False) for reading in self._readings()]
            for first in range(0, len(arrivals), 2000):
                writer.store(arrivals[first : first + 2000], [], self.to_ms)
            writer.store([], self._events(), self.to_ms)
            housekeeping = Housekeeping(db, HistoryConfig())
            while housekeeping.step(self.to_ms, self.to_ms):
                pass
            self._write_means(db)

    def _readings(self) -> list[Reading]:
        stamps = range(self.raw_from_ms, self.to_ms, STEP_MS)
        return [
            self._reading(seq, at_ms)
            for seq, at_ms in enumerate(stamps)
            if not self.gap_from_ms <= at_ms < self.gap_to_ms
        ]

    def _reading(self, seq: int, at_ms: int) -> Reading:
        temperature = self.spike if at_ms == self.spike_ms else self.value(at_ms)
        data = {"temperature": temperature, "humidity": 90 - 2 * self.value(at_ms)}
        stream = f"{self.node} before" if at_ms < self.gap_from_ms else f"{self.node} after"
        return Reading(self.node, SENSOR, at_ms, stream, seq, dict(data), "dht22")

    def _events(self) -> list[Event]:
        began, again = f"boot1 {self.raw_from_ms}", f"boot2 {self.gap_to_ms}"
        return [
            Event(self.node, self.raw_from_ms, PRESENCE, began, "online"),
            Event(self.node, self.gap_from_ms, PRESENCE, began, "offline"),
            Event(self.node, self.gap_to_ms, PRESENCE, again, "online"),
        ]

    def _write_means(self, db: sqlite3.Connection) -> None:
        key = db.execute(
            "SELECT sensor.id, field.id FROM sensor JOIN node ON node.id = sensor.node, field"
            " WHERE node.name = ? AND field.name = 'temperature'",
            (self.node,),
        ).fetchone()
        times = range(self.to_ms - _MEANS_DAYS * DAY_MS, self.raw_from_ms, BUCKET_MS)
        with transaction(db):
            db.executemany(
                "INSERT OR IGNORE INTO mean VALUES (?, ?, ?, 5, ?, ?, ?)",
                (
                    (*key, at_ms, value, value - 0.2, value + 0.2)
                    for at_ms, value in zip(times, map(self.value, times), strict=True)
                ),
            )
