"""Readings that the hub has not stored yet, in two tiers: a file in RAM, and one on disk.

The one in RAM takes every reading before anything is published; it survives the death of the
process. What the hub has not stored for a while moves to disk, which survives a power cut, many
readings a transaction: a card wears out by being written to. A reading leaves only when the hub
says that it is stored, or when the outbox is full: then the oldest go, and are counted.

A stream begins with the process, so a number in it is never given twice, whatever became of a file.
"""

import contextlib
import logging
import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from bus.clock import Clock, Moment
from bus.config.outbox_table import OutboxConfig
from bus.contract.messages import MAX_BACKLOG, ClockState, Range, Reading, Value, encode
from bus.files.database import DamagedError, lock, set_aside
from bus.outbox.disk import DiskTier, Rows
from bus.outbox.file import JUMP_MS, Key, OutboxFile

logger = logging.getLogger(__name__)

# A time that is further from the machine's clock comes from another one.
_FOREIGN_MS = 10_000
_BYTES_PER_MB = 1_000_000
# Of its rows, so many are given up at once where the tier in RAM is full.
_GIVEN_UP_SHARE = 20
# Well below the 256 KB of a packet.
_BACKLOG_BYTES = 190_000
_MAX_LIVE = 1000
# More rows than the tier in RAM holds at its default size.
_ALL_ROWS = 200_000
# What waits in the process itself while the file in RAM takes nothing: some 10 MB.
_MAX_HELD = 10_000


class Sample(msgspec.Struct, frozen=True):
    """One reading before it is numbered."""

    sensor_id: str
    timestamp_ms: int
    data: dict[str, Value]


class Outbox:
    """Numbers the readings of `node` and keeps each until it is stored. Any thread may add.

    Raises MisconfiguredError where another program uses the files or they cannot be made.
    """

    def __init__(
        self, node: str, settings: OutboxConfig, ram_file: Path, disk_file: Path, clock: Clock
    ) -> None:
        self._node = node
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._live: deque[tuple[Reading, int]] = deque(maxlen=_MAX_LIVE)
        self._ram_file = ram_file
        self._claim = lock(ram_file)
        self._ram = OutboxFile(node, ram_file, "OFF")
        self._disk = DiskTier(node, disk_file, settings)
        self._ram_fails = False
        # What the file in RAM does not take waits here, and dies with the process.
        self._held: deque[tuple[Reading, int]] = deque()
        self._lost = 0
        self._has_unset = True
        self._set_at: Moment | None = None
        moment = clock.now()
        self._offset_ms = moment.offset_ms
        self._moved_at_ms = self._forgot_at_ms = moment.monotonic_ms
        self._stream, self._next_seq = secrets.token_hex(8), 0
        self._move_former_boots()

    @property
    def rows(self) -> int:
        with self._lock:
            return self._ram.rows + self._disk.rows + len(self._held)

    @property
    def dropped(self) -> int:
        """How many readings were ever given up."""
        with self._lock:
            in_ram = self._ram.dropped()
        return self._disk.dropped(in_ram) + sum(in_ram.values()) + self._lost

    @property
    def stream(self) -> str:
        return self._stream

    def add(self, samples: Sequence[Sample], plugin: str = "") -> None:
        """Number readings and keep them, in one commit; then they may be published."""
        with self._lock:
            if self._claim.closed:
                # A plugin that was left behind came back after the end.
                return
            # Here, so that a later number never has an earlier time: both say what is old.
            moment = self._clock.now()
            self._look_at_clock(moment)
            rows = [
                (self._numbered(sample, plugin, moment), moment.monotonic_ms) for sample in samples
            ]
            self._held.extend(rows)
            self._keep_held()
            self._live.extend(rows)

    def take_live(self) -> Reading | None:
        """Return the oldest reading that is new enough for its own topic, once."""
        horizon_ms = self._horizon_ms(self._settings.live_s)
        with self._lock:
            while self._live:
                reading, added_ms = self._live.popleft()
                if added_ms > horizon_ms:
                    return reading
        return None

    def backlog(self, after: Key | None) -> list[Reading]:
        """Return the oldest readings behind `after` that are no longer new, at most a message."""
        in_ram, horizon_ms = self._ram.streams, self._horizon_ms(self._settings.live_s)
        found = self._disk.page(after, {*in_ram, self._stream}, MAX_BACKLOG)
        if len(found) < MAX_BACKLOG:
            behind = after if after is not None and after[0] in in_ram else None
            with self._lock, self._using_ram():
                found += self._ram.page(behind, MAX_BACKLOG - len(found), horizon_ms)
        if len(found) < MAX_BACKLOG:
            with self._lock:
                found += self._held_behind(after, horizon_ms)
        return _fitting(reading for reading, _ in found)

    def stored(self, stream: str, ranges: list[Range]) -> None:
        """Forget what the hub has stored."""
        with self._lock:
            if stream == self._stream and self._held:
                self._held = deque(row for row in self._held if not _is_in(row[0].seq, ranges))
            with self._using_ram():
                self._ram.remove(stream, ranges)
        self._disk.stored(stream, ranges)

    def tend(self) -> None:
        """Do what is due: date again, and move old readings to disk. Of one thread only."""
        moment, self._set_at = self._set_at, None
        if moment is not None:
            self._date_again(moment)
        now_ms, every_ms = self._clock.now().monotonic_ms, self._settings.disk_every_s * 1000
        if now_ms - self._forgot_at_ms >= every_ms:
            self._forgot_at_ms = now_ms
            self._disk.forget_stored()
        if now_ms - self._moved_at_ms >= every_ms and self._is_overdue():
            self._moved_at_ms = now_ms
            # The younger ones, too: it is one transaction, and a power cut would take them.
            self._move()

    def forget_stored(self) -> None:
        """Delete what is stored from the disk now: it would be read again."""
        self._disk.forget_stored()

    def close(self) -> None:
        """Move everything to disk, then close both files."""
        self._disk.forget_stored()
        with self._lock:
            self._keep_held()
        self._move()
        with self._lock:
            if self._held and not self._disk.take(*self._own, list(self._held), 0):
                logger.error(
                    "%d readings are lost: neither RAM nor disk took them", len(self._held)
                )
            self._ram.close()
        self._disk.close()
        self._claim.close()

    def _horizon_ms(self, age_s: float) -> int:
        return self._clock.now().monotonic_ms - round(age_s * 1000)

    @property
    def _own(self) -> tuple[str, str]:
        return self._stream, self._clock.boot_id

    def _move_former_boots(self) -> None:
        """Move to disk what is older than the machine's start, as the folder is no tmpfs."""
        if any(boot_id != self._clock.boot_id for boot_id in self._ram.streams.values()):
            self._move()

    def _look_at_clock(self, moment: Moment) -> None:
        step_ms = moment.offset_ms - self._offset_ms
        self._offset_ms = moment.offset_ms
        has_jumped = abs(step_ms) > JUMP_MS
        if has_jumped:
            logger.warning("the clock was set: it jumped by %+.1f s", step_ms / 1000)
        if self._has_unset and (moment.is_set or has_jumped):
            self._set_at = moment
            self._has_unset = not moment.is_set

    def _keep_held(self) -> None:
        """Put what is held into the file in RAM, in one commit; what it refuses is held on."""
        with self._using_ram():
            self._ram.add(*self._own, self._held)
            self._held.clear()
            if self._ram.used_bytes > self._settings.ram_mb * _BYTES_PER_MB:
                self._ram.drop_oldest(self._ram.rows // _GIVEN_UP_SHARE + 1)
            if self._ram_fails:
                self._ram_fails = False
                logger.warning("%s: works again", self._ram_file)
        while len(self._held) > _MAX_HELD:
            self._held.popleft()
            self._lost += 1

    def _held_behind(self, after: Key | None, horizon_ms: int) -> Rows:
        seq = after[1] if after is not None and after[0] == self._stream else -1
        return [row for row in self._held if row[0].seq > seq and row[1] <= horizon_ms]

    @contextlib.contextmanager
    def _using_ram(self) -> Iterator[None]:
        """Go on where the file in RAM refuses: who asked asks again. A damaged one is replaced."""
        try:
            yield
        except DamagedError as e:
            self._ram.close()
            set_aside(self._ram_file, str(e))
            self._ram = OutboxFile(self._node, self._ram_file, "OFF")
        except sqlite3.Error as e:
            if not self._ram_fails:
                logger.error("%s: %s; readings wait in this process only", self._ram_file, e)  # noqa: TRY400 - says it all
            self._ram_fails = True

    def _numbered(self, sample: Sample, plugin: str, moment: Moment) -> Reading:
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        return self._reading(sample, self._stream, seq, plugin, moment)

    def _reading(
        self, sample: Sample, stream: str, seq: int, plugin: str, moment: Moment
    ) -> Reading:
        known = (self._node, sample.sensor_id, sample.timestamp_ms, stream, seq, sample.data)
        monotonic_ms = sample.timestamp_ms - moment.offset_ms
        if abs(sample.timestamp_ms - moment.wall_ms) > _FOREIGN_MS or monotonic_ms < 0:
            return Reading(*known, plugin)
        clock: ClockState = "set" if moment.is_set else "unset"
        self._has_unset = self._has_unset or not moment.is_set
        return Reading(*known, plugin, self._clock.boot_id, monotonic_ms, clock)

    def _date_again(self, moment: Moment) -> None:
        boot_id, offset_ms, is_set = self._clock.boot_id, moment.offset_ms, moment.is_set
        moved = 0
        with self._lock, self._using_ram():
            moved = self._ram.redate(boot_id, offset_ms, is_set=is_set)
            if moved:
                # These have their old times still; they follow as backlog.
                self._live.clear()
        moved += self._disk.redate(boot_id, offset_ms, is_set=is_set)
        if moved:
            logger.warning("%d readings from before the clock was set are dated again", moved)

    def _is_overdue(self) -> bool:
        """Whether the oldest reading in RAM has waited long enough for the disk."""
        horizon_ms = self._horizon_ms(self._settings.disk_after_s)
        found: Rows = []
        with self._lock, self._using_ram():
            found = self._ram.page(None, 1, horizon_ms)
        return bool(found)

    def _move(self) -> None:
        """Move everything to disk: one commit there, then one in RAM."""
        rows: Rows = []
        with self._lock, self._using_ram():
            rows = self._ram.page(None, _ALL_ROWS, None)
        with self._lock:
            given_up, boots = self._ram.dropped(), self._ram.streams
        for stream, boot_id in boots.items():
            own: Rows = [row for row in rows if row[0].stream == stream]
            if own and self._disk.take(stream, boot_id, own, given_up.get(stream, 0)):
                with self._lock, self._using_ram():
                    self._ram.remove(stream, [(own[0][0].seq, own[-1][0].seq)])


def _is_in(seq: int, ranges: list[Range]) -> bool:
    return any(first <= seq <= last for first, last in ranges)


def _fitting(readings: Iterable[Reading]) -> list[Reading]:
    """Return as many of the first readings as one message holds."""
    fitting: list[Reading] = []
    size = 0
    for reading in readings:
        size += len(encode(reading)) + 1
        if fitting and size > _BACKLOG_BYTES:
            break
        fitting.append(reading)
    return fitting
