"""Repair of the timestamps of readings taken before their node's clock was set.

Such a reading carries the monotonic time of its machine's boot. As soon as a reading of the same
boot arrives with the clock set, the earlier ones get their right timestamps.
"""

import sqlite3
from collections.abc import Callable

import msgspec

from bus.contract.messages import Reading
from bus.outbox.file import JUMP_MS
from hub_app.history.schema import REDATED, UNSET

_REPAIRED_AT_ONCE = 2000

# Notes that a sensor has a reading at a time: sensor, timestamp_ms, stream, seq.
ExtendSpan = Callable[[int, int, int, int], None]
_Boot = tuple[int, str]


class _Unset(msgspec.Struct):
    """The readings `first` to `last` of one stream, all taken with the same wrong clock offset."""

    first: int
    last: int
    offset_ms: int
    behind_ms: int


class ClockRepair:
    """The clock offset of each boot. Its methods run within the writer's transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        # The hub's clock.
        self.now_ms = 0
        self._offsets_ms: dict[_Boot, int] = {
            (node, boot_id): offset_ms
            for node, boot_id, offset_ms in db.execute("SELECT * FROM boot")
        }
        self._unset: dict[tuple[_Boot, int], _Unset] = {
            ((node, boot_id), stream): _Unset(*rest)
            for node, boot_id, stream, *rest in db.execute("SELECT * FROM unset")
        }

    def corrected(self, node: int, stream: int, reading: Reading) -> tuple[int, int]:
        """Return the best known timestamp of a reading, and its flags."""
        if not reading.boot_id:
            return reading.timestamp_ms, 0
        boot = (node, reading.boot_id)
        offset_ms = reading.timestamp_ms - reading.monotonic_ms
        if reading.clock != "unset":
            self._learn(boot, offset_ms)
            return reading.timestamp_ms, REDATED if reading.clock == "redated" else 0
        known_ms = self._offsets_ms.get(boot)
        if known_ms is None and self._note_unset(boot, stream, reading, offset_ms):
            return reading.timestamp_ms, UNSET
        known_ms = self._offsets_ms[boot]
        if abs(known_ms - offset_ms) <= JUMP_MS:
            return reading.timestamp_ms, 0
        return reading.monotonic_ms + known_ms, REDATED

    @property
    def is_due(self) -> bool:
        """Whether there are readings to repair whose clock is known by now."""
        return any(boot in self._offsets_ms for boot, _ in self._unset)

    def repair(self, extend_span: ExtendSpan) -> int:
        """Repair some of the readings whose clock is known by now; return how many."""
        for (boot, stream), unset in self._unset.items():
            if boot in self._offsets_ms:
                delta_ms = self._offsets_ms[boot] - unset.offset_ms
                return self._shift(boot, stream, unset, delta_ms, extend_span)
        return 0

    def _learn(self, boot: _Boot, offset_ms: int) -> None:
        known_ms = self._offsets_ms.get(boot)
        if known_ms is not None and abs(known_ms - offset_ms) <= JUMP_MS:
            return
        self._offsets_ms[boot] = offset_ms
        self._db.execute("INSERT OR REPLACE INTO boot VALUES (?, ?, ?)", (*boot, offset_ms))

    def _note_unset(self, boot: _Boot, stream: int, reading: Reading, offset_ms: int) -> bool:
        """Note a reading to repair later. Return False where the clock was set by hand since."""
        seq = reading.seq
        known = self._unset.get((boot, stream))
        if known is None:
            known = self._unset[boot, stream] = _Unset(
                seq, seq - 1, offset_ms, max(0, self.now_ms - reading.timestamp_ms)
            )
        elif abs(known.offset_ms - offset_ms) > JUMP_MS:
            self._learn(boot, offset_ms)
            return False
        if known.first <= seq <= known.last:
            return True
        # `last` is set ahead, so that not every reading writes this row.
        known.first = min(known.first, seq)
        known.last = max(known.last, seq + _REPAIRED_AT_ONCE)
        self._db.execute(
            "INSERT OR REPLACE INTO unset VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*boot, stream, known.first, known.last, known.offset_ms, known.behind_ms),
        )
        return True

    def _shift(
        self, boot: _Boot, stream: int, unset: _Unset, delta_ms: int, extend_span: ExtendSpan
    ) -> int:
        last = min(unset.last, unset.first + _REPAIRED_AT_ONCE - 1)
        found = self._db.execute(
            "SELECT seq, sensor, timestamp_ms FROM reading"
            " WHERE stream = ? AND seq BETWEEN ? AND ? AND flags & ?",
            (stream, unset.first, last, UNSET),
        ).fetchall()
        is_off = abs(delta_ms) > JUMP_MS
        self._db.execute(
            "UPDATE reading SET timestamp_ms = timestamp_ms + ?, flags = flags & ~? | ?"
            " WHERE stream = ? AND seq BETWEEN ? AND ? AND flags & ?",
            (
                *(delta_ms if is_off else 0, UNSET, REDATED if is_off else 0),
                *(stream, unset.first, last, UNSET),
            ),
        )
        for seq, sensor, timestamp_ms in found if is_off else ():
            # The bucket that a reading leaves has to be downsampled again, too.
            extend_span(sensor, timestamp_ms, stream, seq)
            extend_span(sensor, timestamp_ms + delta_ms, stream, seq)
        self._advance(boot, stream, unset, last)
        return len(found)

    def _advance(self, boot: _Boot, stream: int, unset: _Unset, done: int) -> None:
        key = (*boot, stream)
        if done >= unset.last:
            del self._unset[boot, stream]
            self._db.execute("DELETE FROM unset WHERE node=? AND boot_id=? AND stream=?", key)
            return
        unset.first = done + 1
        self._db.execute(
            "UPDATE unset SET first = ? WHERE node=? AND boot_id=? AND stream=?",
            (unset.first, *key),
        )
