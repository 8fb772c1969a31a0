"""One thread that writes what the event loop puts, many rows in one commit."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable

from broker.embedded.store.file import Row, RowKey, StoreFile
from bus.errors import HarvesterError

logger = logging.getLogger(__name__)

# How long the first row of a commit waits for others.
INTERVAL_S = 0.05
# It does not wait any longer once there are so many.
MANY_ROWS = 2_000
# After a failure.
RETRY_S = 1.0
LOG_EVERY_S = 60.0

Settled = asyncio.Future[bool]


class _Rows:
    """Rows of the next commit: each key once, with its last value."""

    def __init__(self) -> None:
        self.rows: dict[RowKey, Row | None] = {}
        # Keys of which the file has no row.
        self.fresh: set[RowKey] = set()
        self.waiting: dict[RowKey, list[Settled]] = {}

    def withdraw(self, key: RowKey) -> list[Settled]:
        """Take a row out that was never written; return who waits for it."""
        self.fresh.discard(key)
        del self.rows[key]
        return self.waiting.pop(key, [])

    def futures(self) -> list[Settled]:
        return [future for each in self.waiting.values() for future in each]

    def add(self, newer: "_Rows") -> None:
        """Take over what was put while these rows could not be written. Nobody waits any more."""
        for key, row in newer.rows.items():
            if row is None and key in self.fresh:
                self.withdraw(key)
            else:
                self.rows[key] = row
        self.fresh |= newer.fresh
        self.waiting = {}


class StoreWriter:
    """The one place where the event loop and the writer thread meet: `_lock` guards the rows.

    What changes often is written seldom, and what is gone before its commit is never written.
    """

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Condition()
        self._pending = _Rows()
        self._writing = _Rows()
        self._stopping = False
        self._failing_since_s: float | None = None
        self._logged_s = 0.0
        self.failures = 0
        # A daemon: it must not keep a process alive whose event loop has gone.
        self._thread = threading.Thread(target=self._run, name="broker-store", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Rows that are not on the disk yet."""
        with self._lock:
            return len(self._pending.rows) + len(self._writing.rows)

    def put(self, key: RowKey, row: Row | None, *, is_new: bool) -> Settled:
        """Write a row, or with None drop it. `is_new`: never put yet, or dropped since.

        The future is True once the row is on the disk or need not be any more, False as soon as
        the disk refused it; it is tried again all the same.
        """
        settled: Settled = self._loop.create_future()
        with self._lock:
            if row is None and key in self._pending.fresh:
                _settle([settled, *self._pending.withdraw(key)], result=True)
                return settled
            if is_new and key not in self._pending.rows and key not in self._writing.rows:
                self._pending.fresh.add(key)
            self._pending.rows[key] = row
            if len(self._pending.rows) in (1, MANY_ROWS):
                self._lock.notify()
            if self._failing_since_s is None:
                self._pending.waiting.setdefault(key, []).append(settled)
                return settled
        settled.set_result(False)
        return settled

    async def flush(self) -> bool:
        """Wait until all that was put is on the disk; False where it was refused."""
        with self._lock:
            failing = self._failing_since_s is not None
            futures = [*self._pending.futures(), *self._writing.futures()]
        if futures:
            # Not `gather`, which would cancel what others wait for.
            await asyncio.wait(futures)
        return not failing and all(f.cancelled() or f.result() for f in futures)

    async def stop(self) -> None:
        """Write what waits, close the file. Twice is fine."""
        with self._lock:
            self._stopping = True
            self._lock.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            while self._take():
                try:
                    self._file.write(self._writing.rows)
                except HarvesterError as e:
                    self._failed(e)
                else:
                    self._succeeded()
        finally:
            self._file.close()

    def _take(self) -> bool:
        """Wait for rows and take them; False to stop."""
        with self._lock:
            self._lock.wait_for(lambda: self._pending.rows or self._stopping)
            if self._failing_since_s is None:
                self._lock.wait_for(
                    lambda: self._stopping or len(self._pending.rows) >= MANY_ROWS, INTERVAL_S
                )
            else:
                self._lock.wait_for(lambda: self._stopping, RETRY_S)
            self._writing, self._pending = self._pending, _Rows()
            return bool(self._writing.rows)

    def _succeeded(self) -> None:
        with self._lock:
            written, self._writing = self._writing, _Rows()
            since_s, self._failing_since_s = self._failing_since_s, None
        if since_s is not None:
            logger.info("the broker's store is written again, after %.0f s", _now_s() - since_s)
        self._tell(written.futures(), result=True)

    def _failed(self, error: HarvesterError) -> None:
        with self._lock:
            refused, newer = self._writing, self._pending
            futures = [*refused.futures(), *newer.futures()]
            refused.add(newer)
            self._pending, self._writing = refused, _Rows()
            self._failing_since_s = self._failing_since_s or _now_s()
            self.failures += 1
            if self._stopping:
                logger.error("%d rows of the broker's store are lost", len(refused.rows))
                self._pending = _Rows()
        self._log(error)
        self._tell(futures, result=False)

    def _log(self, error: HarvesterError) -> None:
        if self.failures > 1 and _now_s() - self._logged_s < LOG_EVERY_S:
            return
        self._logged_s = _now_s()
        logger.error(
            "%s: what would be lost if the broker stopped now grows until there is room; it is "
            "tried again every %.0f s",
            error,
            RETRY_S,
        )

    def _tell(self, futures: list[Settled], *, result: bool) -> None:
        # A loop that has closed has nobody left who waits.
        if futures and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: _settle(futures, result=result))


def _settle(futures: Iterable[Settled], *, result: bool) -> None:
    for future in futures:
        # Who waited may have been cancelled.
        if not future.done():
            future.set_result(result)


def _now_s() -> float:
    return time.monotonic()
