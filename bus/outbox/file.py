"""SQLite file of unstored readings, in the order in which they were taken.

It does not know how long a reading is to be kept: that is the outbox's part. One thread at a time.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from bus.contract.messages import ClockState, Range, Reading, Value
from bus.files.database import Schema, open_database, transaction, translate_damage, used_bytes

logger = logging.getLogger(__name__)

# A stream holds the readings of one run of the program, and so of one boot. Readings whose time is
# from another clock than the machine's have no monotonic_ms. `added_ms` is monotonic, too.
SCHEMA = Schema("""
CREATE TABLE stream (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, boot_id TEXT NOT NULL,
    dropped INTEGER NOT NULL DEFAULT 0, dropped_before INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE reading (
    stream INTEGER NOT NULL, seq INTEGER NOT NULL, sensor TEXT NOT NULL, plugin TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL, monotonic_ms INTEGER, added_ms INTEGER NOT NULL,
    clock INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
""")
_COLUMNS = "stream, seq, sensor, plugin, timestamp_ms, monotonic_ms, added_ms, clock, data"
_INSERT = "INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_VALUES = msgspec.json.Decoder(dict[str, Value])
_CLOCKS: tuple[ClockState, ...] = ("set", "unset", "redated")
_SET, _UNSET, _REDATED = range(3)
# Smaller steps are NTP's normal corrections.
JUMP_MS = 2000
# The first id of the next page of readings.
Key = tuple[str, int]


class OutboxFile:
    """Readings of `node` in `path`. Raises what `bus.files.database.open_database` raises."""

    def __init__(self, node: str, path: Path, synchronous: Literal["OFF", "FULL"]) -> None:
        self._node = node
        self.path = path
        self._db = open_database(path, SCHEMA, synchronous=synchronous)
        self._rows = self._count()
        found = self._db.execute(
            "SELECT name, id, boot_id, dropped, dropped_before FROM stream ORDER BY id"
        ).fetchall()
        self._streams = {name: (number, boot_id) for name, number, boot_id, *_ in found}
        self._dropped = {name: dropped for name, *_, dropped, _ in found}
        self._dropped_before = {name: before for name, *_, before in found}
        self._by_id = {number: (name, boot) for name, (number, boot) in self._streams.items()}

    def close(self) -> None:
        self._db.close()

    @property
    def rows(self) -> int:
        return self._rows

    @property
    def used_bytes(self) -> int:
        return used_bytes(self._db)

    @property
    def streams(self) -> dict[str, str]:
        """The boot id of every stream, in the order of their first readings here."""
        return {name: boot_id for name, (_, boot_id) in self._streams.items()}

    def dropped(self) -> dict[str, int]:
        """Return how many readings of each stream were given up."""
        return dict(self._dropped)

    def dropped_before(self) -> dict[str, int]:
        """Return how many readings of each stream were given up in the tier before this one."""
        return dict(self._dropped_before)

    def add(self, stream: str, boot_id: str, readings: Iterable[tuple[Reading, int]]) -> None:
        """Insert readings, each with its `added_ms`; one commit. Known ones stay as they are."""
        number = self._number(stream, boot_id)
        rows = [self._row(number, reading, added_ms) for reading, added_ms in readings]
        with transaction(self._db):
            added = self._db.executemany(_INSERT, rows).rowcount
        self._rows += added

    def remove(self, stream: str, ranges: Iterable[Range]) -> None:
        """Delete the readings in `ranges`; one commit."""
        if stream not in self._streams:
            return
        number, _ = self._streams[stream]
        with transaction(self._db):
            removed = self._db.executemany(
                "DELETE FROM reading WHERE stream = ? AND seq BETWEEN ? AND ?",
                [(number, first, last) for first, last in ranges],
            ).rowcount
        self._rows -= removed

    def give_up(self, stream: str, ranges: Iterable[Range]) -> int:
        """Drop what is in `ranges` and count it as dropped; return how many; one commit."""
        number, _ = self._streams.get(stream, (0, ""))
        lost = [
            row
            for first, last in ranges
            for row in self._db.execute(
                "SELECT stream, seq FROM reading WHERE stream = ? AND seq BETWEEN ? AND ?",
                (number, first, last),
            )
        ]
        if lost:
            self._give_up(lost)
        return len(lost)

    def page(
        self, after: Key | None, limit: int, added_before_ms: int | None = None
    ) -> list[tuple[Reading, int]]:
        """Return up to `limit` readings, oldest first, each with its `added_ms`."""
        name, seq = after or ("", -1)
        number, _ = self._streams.get(name, (0, ""))
        young = "" if added_before_ms is None else "AND added_ms <= ?"
        with translate_damage():
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM reading WHERE (stream, seq) > (?, ?) {young}"  # noqa: S608
                " ORDER BY stream, seq LIMIT ?",
                (number, seq, *(() if added_before_ms is None else (added_before_ms,)), limit),
            ).fetchall()
        found = [self._reading(row) for row in rows]
        spoiled = [row[:2] for row, reading in zip(rows, found, strict=True) if reading is None]
        if spoiled:
            self._give_up(spoiled)
            logger.error("%s: %d readings are damaged and given up", self.path, len(spoiled))
            # An empty page would look like the end, and there may be more behind these.
            return self.page(after, limit, added_before_ms)
        return [reading for reading in found if reading is not None]

    def drop_oldest(self, count: int) -> None:
        """Give up the `count` oldest readings and count them as dropped; one commit."""
        lost = self._db.execute(
            "SELECT stream, seq FROM reading ORDER BY stream, seq LIMIT ?", (count,)
        ).fetchall()
        self._give_up(lost)

    def _give_up(self, lost: Sequence[tuple[int, int]]) -> None:
        with transaction(self._db):
            self._db.executemany("DELETE FROM reading WHERE stream = ? AND seq = ?", lost)
            self._db.executemany(
                "UPDATE stream SET dropped = dropped + 1 WHERE id = ?", [row[:1] for row in lost]
            )
        self._rows -= len(lost)
        # A damaged row may name a stream that does not exist.
        for stream, _ in (self._by_id[number] for number, _ in lost if number in self._by_id):
            self._dropped[stream] = self._dropped.get(stream, 0) + 1

    def note_dropped_before(self, stream: str, boot_id: str, count: int) -> None:
        """Set how many readings of a stream the tier before this one gave up, in all."""
        number = self._number(stream, boot_id)
        with transaction(self._db):
            self._db.execute("UPDATE stream SET dropped_before = ? WHERE id = ?", (count, number))
        self._dropped_before[stream] = count

    def redate(self, boot_id: str, offset_ms: int, *, is_set: bool) -> int:
        """Correct the time of a boot's readings with an unset clock; return how many changed.

        `offset_ms` is added to their monotonic time. `is_set`: the clock is right from now on.
        """
        numbers = [str(number) for number, boot in self._streams.values() if boot == boot_id]
        of_boot = f"clock = {_UNSET} AND stream IN ({', '.join(numbers)})"
        off = f"abs(timestamp_ms - monotonic_ms - {offset_ms:d}) > {JUMP_MS}"
        with transaction(self._db):
            moved = self._db.execute(
                f"UPDATE reading SET timestamp_ms = monotonic_ms + {offset_ms:d},"  # noqa: S608
                f" clock = {_REDATED} WHERE {of_boot} AND {off}"
            ).rowcount
            if is_set:
                self._db.execute(
                    f"UPDATE reading SET clock = {_SET} WHERE {of_boot}"  # noqa: S608
                )
        return int(moved)

    def _count(self) -> int:
        (count,) = self._db.execute("SELECT count(*) FROM reading").fetchone()
        return int(count)

    def _number(self, stream: str, boot_id: str) -> int:
        if stream not in self._streams:
            with transaction(self._db):
                number = self._db.execute(
                    "INSERT INTO stream (name, boot_id) VALUES (?, ?) RETURNING id",
                    (stream, boot_id),
                ).fetchone()[0]
            self._streams[stream] = (number, boot_id)
            self._by_id[number] = (stream, boot_id)
        return int(self._streams[stream][0])

    @staticmethod
    def _row(number: int, reading: Reading, added_ms: int) -> tuple[Any, ...]:
        return (
            *(number, reading.seq, reading.sensor_id, reading.plugin, reading.timestamp_ms),
            *(reading.monotonic_ms if reading.boot_id else None, added_ms),
            *(_CLOCKS.index(reading.clock), msgspec.json.encode(reading.data)),
        )

    def _reading(self, row: Sequence[Any]) -> tuple[Reading, int] | None:
        """Return the reading in a row; None where a value is damaged, which SQLite cannot see."""
        number, seq, sensor, plugin, timestamp_ms, monotonic_ms, added_ms, clock, data = row
        try:
            stream, boot_id = self._by_id[number]
            values = _VALUES.decode(data)
            known = (self._node, sensor, timestamp_ms, stream, seq, values, plugin)
            boot = boot_id if monotonic_ms is not None else ""
            return Reading(*known, boot, monotonic_ms or 0, _CLOCKS[clock]), added_ms
        except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError):
            return None
