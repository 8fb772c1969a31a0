"""Outbox: the readings that the hub has not stored yet, in two tiers, RAM and disk.

The file in RAM takes every reading before anything is published; it survives the death of the
process. Readings that the hub has not stored for a while move to disk, which survives a power cut,
many in one transaction: each write wears an SD card out. A reading leaves only when the hub
reports it as stored, or when the outbox is full: then the oldest are given up and counted.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from bus.clock import Clock, Moment
from bus.config.outbox_table import OutboxConfig
from bus.contract.messages import MAX_BACKLOG, Range, Reading, encode
from bus.files.database import lock
from bus.limited_log import LimitedLog
from bus.outbox.disk import DiskTier, Rows
from bus.outbox.file import Key
from bus.outbox.numbering import ClockWatch, Numbering, Sample
from bus.outbox.ram import RamTier

__all__ = ["Outbox", "Sample"]

logger = logging.getLogger(__name__)

# Well below the 256 KB of a packet.
_BACKLOG_BYTES = 190_000
_MAX_LIVE = 1000


class Outbox:
    """Numbers the readings of `node` and keeps each until it is stored.

    Threads: any thread may call `add` and the properties; only the sender's thread calls the other
    methods. The lock guards the tier in RAM, the live queue, the numbering and the clock watch; the
    tier on disk has its own, so that nobody waits for the disk to add a reading.
    Raises MisconfiguredError where another program uses the files or they cannot be made.
    """

    def __init__(
        self, node: str, settings: OutboxConfig, ram_file: Path, disk_file: Path, clock: Clock
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._numbering = Numbering(node, clock.boot_id)
        self._claim = lock(ram_file)
        self._own = self._numbering.stream, clock.boot_id
        self._ram = RamTier(node, ram_file, settings.ram_mb, self._own)
        self._disk = DiskTier(node, disk_file, settings)
        self._live: deque[tuple[Reading, int]] = deque(maxlen=_MAX_LIVE)
        self._log = LimitedLog(logger)
        moment = clock.now()
        self._clock_watch = ClockWatch(moment)
        self._moved_at_ms = self._forgot_at_ms = moment.monotonic_ms
        self._move_former_boots()

    @property
    def rows(self) -> int:
        with self._lock:
            return self._ram.rows + self._disk.rows

    @property
    def dropped(self) -> int:
        """The number of readings that were ever given up."""
        with self._lock:
            in_ram, lost = self._ram.dropped(), self._ram.lost
        return self._disk.dropped(in_ram) + sum(in_ram.values()) + lost

    @property
    def stream(self) -> str:
        return self._numbering.stream

    def add(self, samples: Sequence[Sample], plugin: str = "") -> None:
        """Number readings and keep them, in one commit; then they may be published."""
        with self._lock:
            if self._ram.is_closed:
                # A plugin's thread that had been left behind came back after the end.
                return
            # With the lock held, so that a later number never has an earlier time.
            moment = self._clock.now()
            self._clock_watch.look(moment)
            readings = [self._numbering.number(sample, plugin, moment) for sample in samples]
            for reading in readings:
                self._clock_watch.note(reading)
            rows = [(reading, moment.monotonic_ms) for reading in readings]
            self._ram.add(rows)
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

    def backlog(self, after: Key | None, wait_s: float) -> list[Reading]:
        """Return the oldest readings behind `after` that are older than `wait_s`.

        They are as many as fit in one message.
        """
        in_ram, horizon_ms = self._ram.streams, self._horizon_ms(wait_s)
        found = self._disk.page(after, {*in_ram, self.stream}, MAX_BACKLOG)
        if len(found) < MAX_BACKLOG:
            behind = after if after is not None and after[0] in in_ram else None
            with self._lock:
                found += self._ram.page(behind, MAX_BACKLOG - len(found), horizon_ms)
        if len(found) < MAX_BACKLOG:
            with self._lock:
                found += self._ram.held_page(after, horizon_ms)
        return _up_to_one_message(reading for reading, _ in found)

    def stored(self, stream: str, ranges: list[Range]) -> None:
        """Forget what the hub has stored."""
        with self._lock:
            self._ram.remove(stream, ranges)
        self._disk.stored(stream, ranges)

    def refused(self, stream: str, ranges: list[Range]) -> None:
        """Give up what the hub will never store, and count it as dropped."""
        with self._lock:
            given_up = self._ram.give_up(stream, ranges)
        given_up += self._disk.refused(stream, ranges)
        if given_up:
            self._log.warning(
                *("refused", "the hub refused %d readings for good; they are dropped", given_up)
            )

    def tend(self) -> None:
        """Do the housekeeping that is due: date readings again, move old ones to disk."""
        with self._lock:
            moment = self._clock_watch.take_set()
        if moment is not None:
            self._date_again(moment)
        now_ms, every_ms = self._clock.now().monotonic_ms, self._settings.disk_every_s * 1000
        if now_ms - self._forgot_at_ms >= every_ms:
            self._forgot_at_ms = now_ms
            self._disk.forget_stored()
        if now_ms - self._moved_at_ms >= every_ms and self._is_overdue():
            self._moved_at_ms = now_ms
            # The younger ones, too: it is one transaction, and a power cut would take them.
            self._move_to_disk()

    def forget_stored(self) -> None:
        """Delete stored readings from the disk now: they would be read again."""
        self._disk.forget_stored()

    def close(self) -> None:
        """Move everything to disk, then close both files."""
        self._disk.forget_stored()
        with self._lock:
            self._ram.write_held()
        self._move_to_disk()
        with self._lock:
            held = list(self._ram.held)
            if held and not self._disk.take(*self._own, held, 0):
                logger.error("%d readings are lost: neither RAM nor disk took them", len(held))
            self._ram.close()
        self._disk.close()
        self._claim.close()

    def _horizon_ms(self, age_s: float) -> int:
        return self._clock.now().monotonic_ms - round(age_s * 1000)

    def _move_former_boots(self) -> None:
        """Move readings of an earlier boot to disk: their folder is no tmpfs."""
        if any(boot_id != self._clock.boot_id for boot_id in self._ram.streams.values()):
            self._move_to_disk()

    def _date_again(self, moment: Moment) -> None:
        boot_id, offset_ms, is_set = self._clock.boot_id, moment.offset_ms, moment.is_set
        with self._lock:
            moved = self._ram.redate(boot_id, offset_ms, is_set=is_set)
            if moved:
                # The live queue has the old times; its readings follow as backlog.
                self._live.clear()
        moved += self._disk.redate(boot_id, offset_ms, is_set=is_set)
        if moved:
            logger.warning("%d readings from before the clock was set are dated again", moved)

    def _is_overdue(self) -> bool:
        """Return whether the oldest reading in RAM has waited long enough for the disk."""
        with self._lock:
            return bool(self._ram.page(None, 1, self._horizon_ms(self._settings.disk_after_s)))

    def _move_to_disk(self) -> None:
        """Move everything to disk: one commit there, then one in RAM."""
        with self._lock:
            rows = self._ram.everything()
            given_up, boots = self._ram.dropped(), self._ram.streams
        for stream, boot_id in boots.items():
            own: Rows = [row for row in rows if row[0].stream == stream]
            if own and self._disk.take(stream, boot_id, own, given_up.get(stream, 0)):
                with self._lock:
                    self._ram.remove(stream, [(own[0][0].seq, own[-1][0].seq)])


def _up_to_one_message(readings: Iterable[Reading]) -> list[Reading]:
    """Return as many of the first readings as one message can hold."""
    fitting: list[Reading] = []
    size = 0
    for reading in readings:
        size += len(encode(reading)) + 1
        if fitting and size > _BACKLOG_BYTES:
            break
        fitting.append(reading)
    return fitting
