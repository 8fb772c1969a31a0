"""Barrier for publishers of plugins' records: each waits until its record is in its file."""

import asyncio
from collections.abc import Awaitable, Callable

from hub_app.bus_link.ingest import LoopQueue


class RecordBarrier:
    """Future for each record, set once the record is written. On the event loop.

    `flush` brings what was published into `queue`; `written` waits until the records that were
    taken from there are in their files. Publishers of records come in rounds: who comes in one is
    released at the end of the next at the latest.
    """

    def __init__(
        self,
        queue: LoopQueue,
        flush: Callable[[], None],
        written: Callable[[], Awaitable[object]],
    ) -> None:
        self._queue = queue
        self._flush = flush
        self._written = written
        self._loop = asyncio.get_running_loop()
        self._is_waited_for = asyncio.Event()
        self._waited_for: asyncio.Future[bool] | None = None

    def future(self) -> asyncio.Future[bool]:
        """Return what the publisher of a record waits for, which has come just now."""
        if self._waited_for is None:
            self._waited_for = self._loop.create_future()
            self._is_waited_for.set()
        return self._waited_for

    async def run(self) -> None:
        """Release publishers, until cancelled: who is not released then sends its record again."""
        while True:
            await self._is_waited_for.wait()
            self._is_waited_for.clear()
            future, self._waited_for = self._waited_for, None
            try:
                await self._pass()
            except Exception:
                _release(future)
                raise
            _release(future)

    async def _pass(self) -> None:
        """Wait until what was published so far is written."""
        self._flush()
        await self._queue.wait_until_taken()
        await self._written()


def _release(future: asyncio.Future[bool] | None) -> None:
    if future is not None and not future.done():
        future.set_result(True)
