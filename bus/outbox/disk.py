"""The outbox's tier on disk: made when it is first needed, bounded, written to as rarely as can be.

A disk that takes nothing never stops a node: that is said once, and again when it works.
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
from bus.files.database import DamagedError, set_aside
from bus.outbox.file import Key, OutboxFile

logger = logging.getLogger(__name__)

_BYTES_PER_MB = 1_000_000
# Of its rows, so many are given up at once where the file has grown too large.
_GIVEN_UP_SHARE = 50
# So much is deleted at once at the latest, while a backlog is on its way.
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
        self._fails = False
        # On a machine that never lost its hub there is no such file, and none is made.
        self._file = self._open() if path.exists() else None

    @property
    def rows(self) -> int:
        return self._file.rows if self._file is not None else 0

    def dropped(self, counted: dict[str, int]) -> int:
        """Return how many readings were ever given up, here and before, but for the `counted`."""
        file = self._file
        if file is None:
            return 0
        before = {
            name: count for name, count in file.dropped_before().items() if name not in counted
        }
        return sum(file.dropped().values()) + sum(before.values())

    def take(self, stream: str, boot_id: str, rows: Rows, given_up: int) -> bool:
        """Keep rows of a stream of which `given_up` are lost; return whether they are safe."""
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
        """Return the oldest readings behind `after`; those of the streams `in_ram` are newer."""

        def read(file: OutboxFile) -> Rows:
            known = after is None or after[0] in file.streams
            # A stream that is not here is newer than all that is, or was forgotten whole.
            if not known and after is not None and after[0] in in_ram:
                return []
            return file.page(after if known else None, limit)

        return self._ask(read, [])

    def stored(self, stream: str, ranges: list[Range]) -> None:
        """Note what need not be kept; it is deleted together with more."""
        if self._file is not None and stream in self._file.streams:
            noted = self._stored.setdefault(stream, [])
            noted.extend(ranges)
            if len(noted) >= _MAX_STORED_RANGES:
                self.forget_stored()

    def forget_stored(self) -> None:
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
            self._say_fails(str(e))
            return None

    def _keep_bounds(self, file: OutboxFile) -> None:
        excess = file.rows - self._settings.max_rows
        if file.used_bytes > self._settings.max_mb * _BYTES_PER_MB:
            excess = max(excess, file.rows // _GIVEN_UP_SHARE + 1)
        if excess > 0:
            file.drop_oldest(excess)

    def _ask(self, act: Callable[[OutboxFile], T], otherwise: T) -> T:
        """Return what `act` finds in the file, or `otherwise` where the disk fails."""
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
                self._say_fails(str(e))
                return otherwise
        if self._fails:
            self._fails = False
            logger.warning("%s: works again", self._path)
        return found

    def _say_fails(self, reason: str) -> None:
        if not self._fails:
            logger.error("%s: %s; readings wait in RAM only, so long", self._path, reason)
        self._fails = True
