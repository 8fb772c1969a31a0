"""The outbox's tier on disk: made when it is first needed, bounded, written to rarely.

A disk that takes no readings never stops a node: they stay in RAM.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from bus.config.outbox_table import OutboxConfig
from bus.contract.messages import Range, Reading
from bus.errors import MisconfiguredError
from bus.fault import Fault
from bus.files.database import DamagedError, set_aside
from bus.outbox.file import Key, OutboxFile

logger = logging.getLogger(__name__)

_BYTES_PER_MB = 1_000_000
# When the file is too large, this fraction (1/50) of its rows is given up at once.
_GIVEN_UP_SHARE = 50
# Stored readings are deleted together, at the latest when this many ranges were reported.
_MAX_STORED_RANGES = 2000

Rows = list[tuple[Reading, int]]
T = TypeVar("T")


class DiskTier:
    """The readings of `node` in `path`. Any thread may call, and may wait for the disk."""

    def __init__(self, node: str, path: Path, settings: OutboxConfig) -> None:
        self._node = node
        self._path = path
        self._settings = settings
        self._lock = threading.Lock()
        self._stored: dict[str, list[Range]] = {}
        self._fault = Fault(str(path), logger=logger, level=logging.ERROR)
        # A machine that never lost its hub has no such file, and none is made.
        self._file = self._open() if path.exists() else None

    @property
    def rows(self) -> int:
        return self._file.rows if self._file is not None else 0

    def dropped(self, counted: dict[str, int]) -> int:
        """Return how many readings were ever given up, here and in RAM.

        The streams in `counted` are still in RAM, which counts its own.
        """
        file = self._file
        if file is None:
            return 0
        before = {
            name: count for name, count in file.dropped_before().items() if name not in counted
        }
        return sum(file.dropped().values()) + sum(before.values())

    def take(self, stream: str, boot_id: str, rows: Rows, given_up: int) -> bool:
        """Write rows of a stream, of which RAM gave up `given_up`; return whether they are safe."""
        if self._file is None:
            self._file = self._try_open()

        def take(file: OutboxFile) -> bool:
            file.add(stream, boot_id, rows)
            if given_up:
                file.note_dropped_before(stream, boot_id, given_up)
            self._keep_bounds(file)
            return True

        return self._ask(take, otherwise=False)

    def page(self, after: Key | None, in_ram: Collection[str], limit: int) -> Rows:
        """Return the oldest readings behind `after`; streams in `in_ram` may continue in RAM."""

        def read(file: OutboxFile) -> Rows:
            known = after is None or after[0] in file.streams
            # A stream that is not here is newer than all that is, or was forgotten whole.
            if not known and after is not None and after[0] in in_ram:
                return []
            return file.page(after if known else None, limit)

        return self._ask(read, [])

    def stored(self, stream: str, ranges: list[Range]) -> None:
        """Note readings that the hub has stored; they are deleted later, many at once."""
        if self._file is not None and stream in self._file.streams:
            noted = self._stored.setdefault(stream, [])
            noted.extend(ranges)
            if len(noted) >= _MAX_STORED_RANGES:
                self.forget_stored()

    def refused(self, stream: str, ranges: list[Range]) -> int:
        """Give up what the hub will never store; return how many readings that were."""
        return self._ask(lambda file: file.give_up(stream, ranges), 0)

    def forget_stored(self) -> None:
        """Delete the readings that were noted as stored."""
        stored, self._stored = self._stored, {}
        for stream, ranges in stored.items():
            self._ask(lambda file, s=stream, r=ranges: file.remove(s, r), None)  # type: ignore[misc]

    def redate(self, boot_id: str, offset_ms: int, *, is_set: bool) -> int:
        return self._ask(lambda file: file.redate(boot_id, offset_ms, is_set=is_set), 0)

    def close(self) -> None:
        self.forget_stored()
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _open(self) -> OutboxFile:
        return OutboxFile(self._node, self._path, "FULL")

    def _try_open(self) -> OutboxFile | None:
        try:
            return self._open()
        except (sqlite3.OperationalError, MisconfiguredError) as e:
            self._note_fault(str(e))
            return None

    def _keep_bounds(self, file: OutboxFile) -> None:
        excess = file.rows - self._settings.max_rows
        if file.used_bytes > self._settings.max_mb * _BYTES_PER_MB:
            excess = max(excess, file.rows // _GIVEN_UP_SHARE + 1)
        if excess > 0:
            file.drop_oldest(excess)

    def _ask(self, act: Callable[[OutboxFile], T], otherwise: T) -> T:
        """Return the result of `act` on the file, or `otherwise` where the disk fails."""
        with self._lock:
            if self._file is None:
                return otherwise
            try:
                found = act(self._file)
            except DamagedError as e:
                self._file.close()
                set_aside(self._path, str(e))
                self._file = self._try_open()
                return otherwise
            except sqlite3.Error as e:
                self._note_fault(str(e))
                return otherwise
        self._fault.worked()
        return found

    def _note_fault(self, reason: str) -> None:
        self._fault.failed(f"{reason}; meanwhile readings are kept in RAM only")
