"""Writer thread of the store: writes the rows that the event loop puts, many in one commit."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable

from broker.embedded.store.file import Row, RowKey, StoreFile
from bus.errors import HarvesterError

logger = logging.getLogger(__name__)

# The time for which the first row of a commit waits for others, unless one of them is urgent. An
# urgent one waits for the commit that is being made alone: what comes meanwhile is the next.
INTERVAL_S = 0.05
# A commit of so many rows does not wait.
MAX_ROWS = 2_000
# After a failure.
RETRY_S = 1.0
LOG_EVERY_S = 60.0

# True once a row is on the disk or is not needed any more, False once the disk refused it.
Durable = asyncio.Future[bool]


class _Rows:
    """Rows of the next commit: each key once, with its last value."""

    def __init__(self) -> None:
        self.rows: dict[RowKey, Row | None] = {}
        # Keys that have no row in the file.
        self.unwritten: set[RowKey] = set()
        self.waiting: dict[RowKey, list[Durable]] = {}

    def withdraw(self, key: RowKey) -> list[Durable]:
        """Remove a row that was never written; return its futures."""
        self.unwritten.discard(key)
        del self.rows[key]
        return self.waiting.pop(key, [])

    def futures(self) -> list[Durable]:
        return [future for each in self.waiting.values() for future in each]

    def add(self, newer: "_Rows") -> None:
        """Add what was put while these rows could not be written. Their futures are done."""
        for key, row in newer.rows.items():
            if row is None and key in self.unwritten:
                self.withdraw(key)
            else:
                self.rows[key] = row
        self.unwritten |= newer.unwritten
        self.waiting = {}


class StoreWriter:
    """Rows on their way from the event loop to the writer thread; `lock` guards them.

    A row that changes again before its commit is written once; one that is deleted before, never.
    Whoever holds the lock while it puts several rows has them in one commit.
    """

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._loop = asyncio.get_running_loop()
        self.lock = threading.Condition()
        self._pending = _Rows()
        self._writing = _Rows()
        self._stopping = False
        self._is_urgent = False
        # Whether the thread waits for the first row.
        self._is_idle = False
        self._failing_since_s: float | None = None
        self._logged_s = 0.0
        self.failures = 0
        # A daemon: it must not keep a process alive whose event loop has ended.
        self._thread = threading.Thread(target=self._run, name="broker-store", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Rows that are not on the disk yet."""
        with self.lock:
            return len(self._pending.rows) + len(self._writing.rows)

    def put(
        self, key: RowKey, row: Row | None, *, is_new: bool, is_urgent: bool = False
    ) -> Durable:
        """Write a row, or delete it where it is None. `is_new`: the file has no such row.

        An urgent row begins a commit at once where none is being made.
        After a refusal by the disk the row is tried again, although its future is False.
        """
        durable: Durable = self._loop.create_future()
        with self.lock:
            if row is None and key in self._pending.unwritten:
                _set_results([durable, *self._pending.withdraw(key)], result=True)
                return durable
            if is_new and key not in self._pending.rows and key not in self._writing.rows:
                self._pending.unwritten.add(key)
            self._add(key, row, is_urgent=is_urgent)
            if self._failing_since_s is None:
                self._pending.waiting.setdefault(key, []).append(durable)
                return durable
        durable.set_result(False)
        return durable

    def drop(self, key: RowKey) -> None:
        """Delete a row for which nobody waits any more."""
        with self.lock:
            if key in self._pending.unwritten:
                _set_results(self._pending.withdraw(key), result=True)
            else:
                self._add(key, None, is_urgent=False)

    def _add(self, key: RowKey, row: Row | None, *, is_urgent: bool) -> None:
        rows = self._pending.rows
        rows[key] = row
        is_due = (is_urgent and not self._is_urgent) or len(rows) == MAX_ROWS
        self._is_urgent |= is_urgent
        # The thread is woken for the first row of a commit, and for the one that ends its wait.
        if self._is_idle or is_due:
            self.lock.notify()
            self._is_idle = False

    async def flush(self) -> bool:
        """Wait until every row is on the disk; return False where the disk refused one."""
        with self.lock:
            failing = self._failing_since_s is not None
            futures = [*self._pending.futures(), *self._writing.futures()]
        if futures:
            # Not `gather`, which would cancel futures for which others wait.
            await asyncio.wait(futures)
        return not failing and all(f.cancelled() or f.result() for f in futures)

    async def stop(self) -> None:
        """Write the waiting rows and close the file. Stopping twice is fine."""
        with self.lock:
            self._stopping = True
            self.lock.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            while self._take():
                if not self._writing.rows:
                    # All were deleted again before their commit.
                    continue
                try:
                    self._file.write(self._writing.rows)
                except HarvesterError as e:
                    self._failed(e)
                except Exception:
                    logger.exception("rows of the broker's store are dropped")
                    self._drop()
                else:
                    self._succeeded()
        finally:
            self._file.close()

    def _take(self) -> bool:
        """Wait for rows and take them, perhaps none; False to stop."""
        with self.lock:
            while not (self._pending.rows or self._stopping):
                # Again after a row that was withdrawn before the thread woke.
                self._is_idle = True
                self.lock.wait()
            self._is_idle = False
            if self._failing_since_s is None:
                self.lock.wait_for(lambda: self._is_due, INTERVAL_S)
            else:
                self.lock.wait_for(lambda: self._stopping, RETRY_S)
            self._writing, self._pending = self._pending, _Rows()
            self._is_urgent = False
            return bool(self._writing.rows) or not self._stopping

    @property
    def _is_due(self) -> bool:
        """Whether the next commit waits for no more rows."""
        return self._stopping or self._is_urgent or len(self._pending.rows) >= MAX_ROWS

    def _succeeded(self) -> None:
        with self.lock:
            written, self._writing = self._writing, _Rows()
            since_s, self._failing_since_s = self._failing_since_s, None
        if since_s is not None:
            logger.info("the broker's store is written again after %.0f s", _now_s() - since_s)
        self._settle_soon(written.futures(), result=True)

    def _failed(self, error: HarvesterError) -> None:
        with self.lock:
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
        self._settle_soon(futures, result=False)

    def _drop(self) -> None:
        """Drop rows that cannot be written, whatever the disk does: the next ones have to be."""
        with self.lock:
            dropped, self._writing = self._writing, _Rows()
            self.failures += 1
        self._settle_soon(dropped.futures(), result=False)

    def _log(self, error: HarvesterError) -> None:
        if self.failures > 1 and _now_s() - self._logged_s < LOG_EVERY_S:
            return
        self._logged_s = _now_s()
        logger.error(
            "%s; messages are acknowledged without being stored; tried again every %.0f s",
            error,
            RETRY_S,
        )

    def _settle_soon(self, futures: list[Durable], *, result: bool) -> None:
        # Nobody waits in a loop that is closed.
        if futures and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: _set_results(futures, result=result))


def _set_results(futures: Iterable[Durable], *, result: bool) -> None:
    for future in futures:
        # The waiting task may have been cancelled.
        if not future.done():
            future.set_result(result)


def _now_s() -> float:
    return time.monotonic()
