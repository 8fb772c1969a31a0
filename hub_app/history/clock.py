"""Dating readings whose node did not know the time when it took them.

Such readings carry what their machine's monotonic clock showed. As soon as one of the same boot
comes with the clock set, those before are moved to where they belong.
"""

import sqlite3
from collections.abc import Callable

import msgspec

from bus.contract.messages import Reading
from bus.outbox.file import JUMP_MS
from hub_app.history.schema import REDATED, UNSET

_MOVED_AT_ONCE = 2000

# Says that a sensor has a reading at a time: sensor, timestamp_ms, stream, seq.
Cover = Callable[[int, int, int, int], None]
_Boot = tuple[int, str]


class _Unset(msgspec.Struct):
    """Readings of one stream, from `first` to `last`, that were taken at one wrong offset."""

    first: int
    last: int
    offset_ms: int
    behind_ms: int


class ClockBook:
    """What is known of the clock of each boot. Within the writer's transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        # The hub's time.
        self.now_ms = 0
        self._offsets_ms: dict[_Boot, int] = {
            (node, boot_id): offset_ms
            for node, boot_id, offset_ms in db.execute("SELECT * FROM boot")
        }
        self._unset: dict[tuple[_Boot, int], _Unset] = {
            ((node, boot_id), stream): _Unset(*rest)
            for node, boot_id, stream, *rest in db.execute("SELECT * FROM unset")
        }

    def date(self, node: int, stream: int, reading: Reading) -> tuple[int, int]:
        """Return the time of a reading as well as it is known now, and its flags."""
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
    def has_something_to_date(self) -> bool:
        return any(boot in self._offsets_ms for boot, _ in self._unset)

    def date_again(self, cover: Cover) -> int:
        """Move some of the readings whose boot's clock is known by now; return how many."""
        for (boot, stream), unset in self._unset.items():
            if boot in self._offsets_ms:
                delta_ms = self._offsets_ms[boot] - unset.offset_ms
                return self._move(boot, stream, unset, delta_ms, cover)
        return 0

    def _learn(self, boot: _Boot, offset_ms: int) -> None:
        known_ms = self._offsets_ms.get(boot)
        if known_ms is not None and abs(known_ms - offset_ms) <= JUMP_MS:
            return
        self._offsets_ms[boot] = offset_ms
        self._db.execute("INSERT OR REPLACE INTO boot VALUES (?, ?, ?)", (*boot, offset_ms))

    def _note_unset(self, boot: _Boot, stream: int, reading: Reading, offset_ms: int) -> bool:
        """Note a reading that is dated again later; not one whose clock a person has set since."""
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
        # `last` reaches ahead, so that not every reading writes this row.
        known.first = min(known.first, seq)
        known.last = max(known.last, seq + _MOVED_AT_ONCE)
        self._db.execute(
            "INSERT OR REPLACE INTO unset VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*boot, stream, known.first, known.last, known.offset_ms, known.behind_ms),
        )
        return True

    def _move(self, boot: _Boot, stream: int, unset: _Unset, delta_ms: int, cover: Cover) -> int:
        last = min(unset.last, unset.first + _MOVED_AT_ONCE - 1)
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
            # The buckets that they leave are made again, too.
            cover(sensor, timestamp_ms, stream, seq)
            cover(sensor, timestamp_ms + delta_ms, stream, seq)
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
