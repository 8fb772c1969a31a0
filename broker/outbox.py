"""Readings that the broker has not acknowledged yet: bounded, ordered, the oldest given up first.

Held in memory: what waits here when the process dies is lost, and what is given up is counted.
"""

import secrets
import threading
from collections import OrderedDict

from broker.messages import Reading, Value

# About half an hour of five sensors at one reading in 2 s each, and some 6 MB.
MAX_ROWS = 5_000


class Outbox:
    """Numbers readings and keeps each until it is acknowledged. Any thread may call."""

    def __init__(self, node: str, max_rows: int = MAX_ROWS) -> None:
        self._node = node
        self._max_rows = max_rows
        self._stream = secrets.token_hex(8)
        self._next_seq = 0
        self._unsent: OrderedDict[int, Reading] = OrderedDict()
        self._sent: dict[int, Reading] = {}
        self._dropped = 0
        self._lock = threading.Lock()

    def add(self, sensor_id: str, timestamp_ms: int, data: dict[str, Value]) -> None:
        with self._lock:
            reading = Reading(
                self._node, sensor_id, timestamp_ms, self._stream, self._next_seq, data
            )
            self._unsent[self._next_seq] = reading
            self._next_seq += 1
            if len(self._unsent) > self._max_rows:
                self._unsent.popitem(last=False)
                self._dropped += 1

    def take(self) -> Reading | None:
        """Return the oldest reading that waits, now on its way, or None."""
        with self._lock:
            if not self._unsent:
                return None
            seq, reading = self._unsent.popitem(last=False)
            self._sent[seq] = reading
            return reading

    def put_back(self, seq: int) -> None:
        """Let a reading that could not be sent wait again, in its old place."""
        with self._lock:
            self._unsent[seq] = self._sent.pop(seq)
            self._unsent.move_to_end(seq, last=False)

    def acknowledge(self, seq: int) -> None:
        with self._lock:
            self._sent.pop(seq, None)

    @property
    def rows(self) -> int:
        with self._lock:
            return len(self._unsent) + len(self._sent)

    @property
    def dropped(self) -> int:
        with self._lock:
            return self._dropped
