"""Rows of the store on their way to the file; without a file, each counts as being on the disk."""

import asyncio
import contextlib

from broker.embedded.store.file import Row, StoreFile
from broker.embedded.store.writer import Durable, StoreWriter


class Rows:
    """Rows that the parts of the store put and delete."""

    def __init__(self, file: StoreFile | None) -> None:
        self._file = file
        self._writer: StoreWriter | None = None

    def start(self) -> None:
        """Start the writer thread, which answers in the running event loop."""
        if self._file is not None:
            self._writer = StoreWriter(self._file)

    async def stop(self) -> None:
        """Write all rows and close the file. Stopping twice is fine."""
        if self._writer is not None:
            await self._writer.stop()

    async def flush(self) -> bool:
        """Wait until every row is on the disk; return False where the disk refused one."""
        return True if self._writer is None else await self._writer.flush()

    @property
    def is_written(self) -> bool:
        """Whether there is a file."""
        return self._writer is not None

    @property
    def failures(self) -> int:
        """The number of commits that the disk refused."""
        return self._writer.failures if self._writer else 0

    @property
    def pending(self) -> int:
        """The number of rows that are not on the disk yet."""
        return self._writer.pending if self._writer else 0

    def together(self) -> contextlib.AbstractContextManager[object]:
        """Write all that is put within the block in one commit."""
        return contextlib.nullcontext() if self._writer is None else self._writer.lock

    def put(
        self,
        table: str,
        key: Row,
        row: Row | None,
        *,
        is_new: bool = False,
        is_urgent: bool = False,
    ) -> Durable:
        """Write a row, or delete it where it is None: see `StoreWriter.put`."""
        if self._writer is not None:
            return self._writer.put((table, key), row, is_new=is_new, is_urgent=is_urgent)
        return durable()

    def drop(self, table: str, key: Row) -> None:
        """Delete a row for which nobody waits any more."""
        if self._writer is not None:
            self._writer.drop((table, key))


def durable() -> Durable:
    """Return the future of a row that is on the disk."""
    done: Durable = asyncio.get_running_loop().create_future()
    done.set_result(True)
    return done
