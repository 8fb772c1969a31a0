"""The outbox's tier in RAM: a file on a tmpfs, which survives the death of the process.

While the file takes no readings, they are held in the process itself and die with it.
"""

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from bus.contract.messages import Range, Reading
from bus.errors import MisconfiguredError
from bus.fault import Fault
from bus.files.database import DamagedError, set_aside
from bus.outbox.file import Key, OutboxFile

logger = logging.getLogger(__name__)

_BYTES_PER_MB = 1_000_000
# When the file is full, this fraction (1/20) of its rows is given up at once.
_GIVEN_UP_SHARE = 20
# Readings held in the process while the file takes none: some 10 MB.
_MAX_HELD = 10_000
# More rows than the file holds at its default size.
_ALL_ROWS = 200_000

Rows = list[tuple[Reading, int]]
T = TypeVar("T")


class RamTier:
    """The readings of `node` in `path`, those of this process in the stream `own`.

    One thread at a time: the outbox calls it with its lock held. A file that refuses to work, or
    cannot be made on a full disk, never raises here; the caller gets an empty result and asks again
    later. A damaged one is replaced. Raises MisconfiguredError where the file may not be used.
    """

    def __init__(self, node: str, path: Path, max_mb: float, own: tuple[str, str]) -> None:
        """`own`: the stream of this process and the machine's boot id."""
        self._node = node
        self._path = path
        self._max_bytes = max_mb * _BYTES_PER_MB
        self._own_stream, self._boot_id = own
        self._file: OutboxFile | None = None
        self.held: deque[tuple[Reading, int]] = deque()
        self._lost = 0
        self._fault = Fault(str(path), logger=logger, level=logging.ERROR)
        self.is_closed = False
        try:
            self._file = self.file
        except sqlite3.Error as e:
            self._fail(e)

    @property
    def file(self) -> OutboxFile:
        """The file, opened where it is not; raises what opening it does."""
        if self._file is None:
            self._file = OutboxFile(self._node, self._path, "OFF")
        return self._file

    @property
    def rows(self) -> int:
        return len(self.held) + (0 if self._file is None else self._file.rows)

    @property
    def lost(self) -> int:
        """The number of readings that were given up while they were held in the process."""
        return self._lost

    @property
    def streams(self) -> dict[str, str]:
        """The boot id of every stream in the file."""
        return {} if self._file is None else self._file.streams

    def dropped(self) -> dict[str, int]:
        """Return how many readings of each stream in the file were given up."""
        return {} if self._file is None else self._file.dropped()

    def add(self, rows: Iterable[tuple[Reading, int]]) -> None:
        """Keep readings of this process, each with its `added_ms`; one commit."""
        self.held.extend(rows)
        self.write_held()

    def write_held(self) -> None:
        """Move the held readings into the file; what it does not take stays held."""
        self._ask(self._write_held, None)
        while len(self.held) > _MAX_HELD:
            self.held.popleft()
            self._lost += 1

    def _write_held(self, file: OutboxFile) -> None:
        file.add(self._own_stream, self._boot_id, self.held)
        self.held.clear()
        if file.used_bytes > self._max_bytes:
            file.drop_oldest(file.rows // _GIVEN_UP_SHARE + 1)
        self._fault.worked()

    def page(self, after: Key | None, limit: int, added_before_ms: int | None) -> Rows:
        """Return up to `limit` readings of the file behind `after`, oldest first."""
        return self._ask(lambda file: file.page(after, limit, added_before_ms), [])

    def everything(self) -> Rows:
        """Return all readings of the file."""
        return self.page(None, _ALL_ROWS, None)

    def held_page(self, after: Key | None, added_before_ms: int) -> Rows:
        """Return the held readings behind `after`."""
        seq = after[1] if after is not None and after[0] == self._own_stream else -1
        return [row for row in self.held if row[0].seq > seq and row[1] <= added_before_ms]

    def remove(self, stream: str, ranges: list[Range]) -> None:
        """Forget what is in `ranges`."""
        if stream == self._own_stream and self.held:
            self.held = deque(row for row in self.held if not _is_in(row[0].seq, ranges))
        self._ask(lambda file: file.remove(stream, ranges), None)

    def give_up(self, stream: str, ranges: list[Range]) -> int:
        """Drop what is in `ranges` and count it as dropped; return how many readings that were."""
        given_up = 0
        if stream == self._own_stream and self.held:
            kept = deque(row for row in self.held if not _is_in(row[0].seq, ranges))
            given_up = len(self.held) - len(kept)
            self._lost += given_up
            self.held = kept
        return given_up + self._ask(lambda file: file.give_up(stream, ranges), 0)

    def redate(self, boot_id: str, offset_ms: int, *, is_set: bool) -> int:
        """Date the readings of a boot again; see `OutboxFile.redate`."""
        return self._ask(lambda file: file.redate(boot_id, offset_ms, is_set=is_set), 0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self.is_closed = True

    def _ask(self, act: Callable[[OutboxFile], T], otherwise: T) -> T:
        """Return the result of `act` on the file, or `otherwise` where the file fails."""
        try:
            return act(self.file)
        except DamagedError as e:
            self._replace(str(e))
        except (sqlite3.Error, MisconfiguredError) as e:
            self._fail(e)
        return otherwise

    def _fail(self, error: Exception) -> None:
        self._fault.failed(f"{error}; meanwhile readings are kept in this process only")

    def _replace(self, reason: str) -> None:
        """Set the damaged file aside; the next call makes a new one."""
        if self._file is not None:
            self._file.close()
        self._file = None
        set_aside(self._path, reason)


def _is_in(seq: int, ranges: list[Range]) -> bool:
    return any(first <= seq <= last for first, last in ranges)
