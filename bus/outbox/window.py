"""Send window of the backlog: batches that are not stored yet, and the rate limit. Pure."""

from collections.abc import Sequence

import msgspec

from bus.contract.messages import Range, Reading
from bus.outbox.file import Key

# Unstored batches at one time: enough to keep the hub busy between two of its commits.
MAX_BATCHES = 4


class _Batch(msgspec.Struct):
    sent_s: float
    waiting: set[Key]


class Window:
    """Lets batches be sent oldest first, at `rows_per_s`.

    One that is not stored in time is sent again after everything behind it: readings that the hub
    has no room for must not hold up the others.
    """

    def __init__(self, rows_per_s: float, resend_s: float) -> None:
        self._rows_per_s = rows_per_s
        self._resend_s = resend_s
        self._batches: list[_Batch] = []
        self._next_s = 0.0
        # The last reading that was sent: the next batch begins after it.
        self.cursor: Key | None = None

    def has_room(self, now_s: float) -> bool:
        return len(self._batches) < MAX_BATCHES and now_s >= self._next_s

    def sent(self, readings: Sequence[Reading], now_s: float) -> None:
        keys = [(reading.stream, reading.seq) for reading in readings]
        self.cursor = keys[-1]
        self._batches.append(_Batch(now_s, set(keys)))
        self._next_s = now_s + len(keys) / self._rows_per_s

    def stored(self, stream: str, ranges: Sequence[Range]) -> None:
        for batch in self._batches:
            batch.waiting = {
                (name, seq)
                for name, seq in batch.waiting
                if name != stream or not any(first <= seq <= last for first, last in ranges)
            }
        self._batches = [batch for batch in self._batches if batch.waiting]

    @property
    def is_idle(self) -> bool:
        """Whether no batch is on its way."""
        return not self._batches

    def expire(self, now_s: float) -> bool:
        """Forget the batches that were not stored in time; return whether there were any."""
        known = len(self._batches)
        self._batches = [batch for batch in self._batches if now_s - batch.sent_s <= self._resend_s]
        return len(self._batches) < known

    def restart(self) -> None:
        """Begin with the oldest again."""
        self._batches.clear()
        self.cursor = None
