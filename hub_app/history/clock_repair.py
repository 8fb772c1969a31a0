"""Repair of the timestamps of readings taken before their node's clock was set.

Such a reading carries the monotonic time of its machine's boot. As soon as a reading of the same
boot arrives with the clock set, the earlier ones get their right timestamps.

A step of the repair looks at a bounded number of nodes and reads a bounded number of readings,
whatever their numbers are. The nodes take turns.
"""

import sqlite3
from collections.abc import Callable, Iterator

import msgspec

from bus.contract.bounds import LATEST_MS
from bus.contract.messages import Reading
from bus.outbox.file import JUMP_MS
from hub_app.history.schema import REDATED, UNSET

_REPAIRED_AT_ONCE = 2000
# After a power cut the clocks of all nodes of a site are set at about the same time.
_NODES_AT_ONCE = 50
_MAX_BOOTS = 100

# Notes that a sensor has a reading at a time: sensor, timestamp_ms, stream, seq.
ExtendSpan = Callable[[int, int, int, int], None]
# Boot and stream.
_Key = tuple[str, int]


class _Unset(msgspec.Struct):
    """The readings `first` to `last` of one stream, all taken with the same wrong clock offset."""

    first: int
    last: int
    offset_ms: int
    behind_ms: int


class _Node:
    """What is known of one node: clock offsets by boot, and what is to be repaired."""

    def __init__(self) -> None:
        self.offsets_ms: dict[str, int] = {}
        self.unset: dict[_Key, _Unset] = {}

    @property
    def due(self) -> _Key | None:
        """Return the first boot and stream whose clock is known by now."""
        return next((key for key in self.unset if key[0] in self.offsets_ms), None)


class ClockRepair:
    """The clock offset of each boot. Its methods run within the writer's transactions.

    It remembers `max_boots` boots of each node and forgets the oldest.
    """

    def __init__(self, db: sqlite3.Connection, max_boots: int = _MAX_BOOTS) -> None:
        self._db = db
        self._max_boots = max_boots
        # The hub's clock.
        self.now_ms = 0
        self._nodes: dict[int, _Node] = {}
        # The order of their boots in time is the order of their offsets.
        for node, boot_id, offset_ms in db.execute("SELECT * FROM boot ORDER BY offset_ms"):
            self._node(node).offsets_ms[boot_id] = offset_ms
        for node, boot_id, stream, *rest in db.execute("SELECT * FROM unset ORDER BY stream"):
            self._node(node).unset[boot_id, stream] = _Unset(*rest)

    def corrected(self, node: int, stream: int, reading: Reading) -> tuple[int, int]:
        """Return the best known timestamp of a reading, and its flags."""
        if not reading.boot_id:
            return reading.timestamp_ms, 0
        offset_ms = reading.timestamp_ms - reading.monotonic_ms
        if reading.clock != "unset":
            self._learn(node, reading.boot_id, offset_ms)
            return reading.timestamp_ms, REDATED if reading.clock == "redated" else 0
        offsets_ms = self._node(node).offsets_ms
        if reading.boot_id not in offsets_ms and self._note_unset(node, stream, reading, offset_ms):
            return reading.timestamp_ms, UNSET
        known_ms = offsets_ms[reading.boot_id]
        if abs(known_ms - offset_ms) <= JUMP_MS:
            return reading.timestamp_ms, 0
        return _on_calendar(reading.monotonic_ms + known_ms), REDATED

    @property
    def is_due(self) -> bool:
        """Whether there are readings to repair whose clock is known by now."""
        return any(node.due is not None for node in self._nodes.values())

    def repair(self, extend_span: ExtendSpan) -> None:
        """Repair some readings of the nodes whose turn it is."""
        left = _REPAIRED_AT_ONCE
        due = [number for number, node in self._nodes.items() if node.due is not None]
        for number in due[:_NODES_AT_ONCE]:
            if left <= 0:
                return
            # The last in the next round.
            self._nodes[number] = node = self._nodes.pop(number)
            key = node.due
            if key is not None:
                left -= self._shift(number, key, left, extend_span)

    def _node(self, number: int) -> _Node:
        if number not in self._nodes:
            self._nodes[number] = _Node()
        return self._nodes[number]

    def _learn(self, number: int, boot_id: str, offset_ms: int) -> None:
        offsets_ms = self._node(number).offsets_ms
        known_ms = offsets_ms.get(boot_id)
        if known_ms is not None and abs(known_ms - offset_ms) <= JUMP_MS:
            return
        offsets_ms[boot_id] = offset_ms
        self._db.execute(
            "INSERT OR REPLACE INTO boot VALUES (?, ?, ?)", (number, boot_id, offset_ms)
        )
        for oldest in list(offsets_ms)[: -self._max_boots]:
            del offsets_ms[oldest]
            self._db.execute("DELETE FROM boot WHERE node = ? AND boot_id = ?", (number, oldest))

    def _note_unset(self, number: int, stream: int, reading: Reading, offset_ms: int) -> bool:
        """Note a reading to repair later. Return False where the clock was set by hand since."""
        seq, key = reading.seq, (reading.boot_id, stream)
        waiting = self._node(number).unset
        known = waiting.get(key)
        if known is None:
            self._forget_oldest(number)
            behind_ms = max(0, self.now_ms - reading.timestamp_ms)
            known = waiting[key] = _Unset(seq, seq - 1, offset_ms, behind_ms)
        elif abs(known.offset_ms - offset_ms) > JUMP_MS:
            self._learn(number, reading.boot_id, offset_ms)
            return False
        if known.first <= seq <= known.last:
            return True
        # `last` is set ahead, so that not every reading writes this row.
        known.first = min(known.first, seq)
        known.last = max(known.last, seq + _REPAIRED_AT_ONCE)
        self._db.execute(
            "INSERT OR REPLACE INTO unset VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, *key, known.first, known.last, known.offset_ms, known.behind_ms),
        )
        return True

    def _forget_oldest(self, number: int) -> None:
        """Make room for one more stream to repair; the readings of a forgotten one stay as is."""
        waiting = self._node(number).unset
        for key in list(waiting)[: len(waiting) - self._max_boots + 1]:
            self._forget(number, key)

    def _forget(self, number: int, key: _Key) -> None:
        del self._nodes[number].unset[key]
        self._db.execute(
            "DELETE FROM unset WHERE node = ? AND boot_id = ? AND stream = ?", (number, *key)
        )

    def _shift(self, number: int, key: _Key, most: int, extend_span: ExtendSpan) -> int:
        """Repair at most so many readings of a stream; return how many were read."""
        boot_id, stream = key
        unset = self._nodes[number].unset[key]
        delta_ms = self._nodes[number].offsets_ms[boot_id] - unset.offset_ms
        found = self._db.execute(
            "SELECT seq, sensor, timestamp_ms, flags FROM reading"
            " WHERE stream = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
            (stream, unset.first, unset.last, most),
        ).fetchall()
        for seq, sensor, timestamp_ms, flags in found:
            if flags & UNSET:
                for at_ms in self._redate((stream, seq), timestamp_ms, flags, delta_ms):
                    extend_span(sensor, at_ms, stream, seq)
        if len(found) < most:
            self._forget(number, key)
        else:
            unset.first = found[-1][0] + 1
            self._db.execute(
                "UPDATE unset SET first = ? WHERE node = ? AND boot_id = ? AND stream = ?",
                (unset.first, number, *key),
            )
        return len(found)

    def _redate(
        self, reading: tuple[int, int], timestamp_ms: int, flags: int, delta_ms: int
    ) -> Iterator[int]:
        """Give a reading its right time; return the times whose buckets have changed by that."""
        is_off = abs(delta_ms) > JUMP_MS
        right_ms = _on_calendar(timestamp_ms + delta_ms) if is_off else timestamp_ms
        flags = flags & ~UNSET | (REDATED if is_off else 0)
        self._db.execute(
            "UPDATE reading SET timestamp_ms = ?, flags = ? WHERE stream = ? AND seq = ?",
            (right_ms, flags, *reading),
        )
        if is_off:
            # The bucket that a reading leaves has to be downsampled again, too.
            yield timestamp_ms
            yield right_ms


def _on_calendar(timestamp_ms: int) -> int:
    """Return a time within the bounds of the messages: an offset may be any."""
    return min(max(timestamp_ms, 0), LATEST_MS)
