"""Supervisor of the hub's long-lived tasks and threads: restarts what ends unexpectedly."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec

from bus.client.backoff import Backoff

logger = logging.getLogger(__name__)

_FIRST_S = 0.1
_LONGEST_S = 30.0
_STEADY_S = 60.0


class TaskStatus(msgspec.Struct):
    """Status of one task; `last_error` is empty until it failed."""

    name: str
    is_up: bool = True
    restarts: int = 0
    last_error: str = ""


class Supervisor:
    """Runs tasks; one that ends or raises is logged and started again after a back-off.

    Each task writes only its own status, on its own thread.
    """

    def __init__(self, first_s: float = _FIRST_S) -> None:
        self._first_s = first_s
        self._tasks: dict[str, TaskStatus] = {}

    @property
    def tasks(self) -> list[TaskStatus]:
        return list(self._tasks.values())

    @property
    def is_up(self) -> bool:
        """Whether every task runs."""
        return all(task.is_up for task in self.tasks)

    @contextlib.asynccontextmanager
    async def running(
        self, starts: Mapping[str, Callable[[], Awaitable[None]]]
    ) -> AsyncIterator[None]:
        """Run a task for each name until the context ends."""
        tasks = [asyncio.create_task(self.run(*item)) for item in starts.items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def run(self, name: str, start: Callable[[], Awaitable[None]]) -> None:
        """Run the coroutine that `start` returns, and again whenever it ends, until cancelled."""
        status, backoff = self._add(name)
        while True:
            began_s = time.monotonic()
            try:
                await start()
                _note(status, "it ended")
            except Exception as e:
                logger.exception("%s failed", name)
                _note(status, repr(e))
            await asyncio.sleep(backoff.next_s(time.monotonic() - began_s))
            _restart(status)

    def run_here(
        self, name: str, work: Callable[[], None], wait: Callable[[float], object]
    ) -> None:
        """Run `work` on the calling thread until it returns, and again whenever it raises.

        `wait` waits for so many seconds, or less where the thread is to stop.
        """
        status, backoff = self._add(name)
        while True:
            began_s = time.monotonic()
            try:
                work()
            except Exception as e:
                logger.exception("%s failed", name)
                _note(status, repr(e))
            else:
                return
            wait(backoff.next_s(time.monotonic() - began_s))
            _restart(status)

    def _add(self, name: str) -> tuple[TaskStatus, Backoff]:
        status = self._tasks[name] = TaskStatus(name)
        return status, Backoff(self._first_s, _LONGEST_S, steady_s=_STEADY_S)


def _note(status: TaskStatus, error: str) -> None:
    status.last_error = error[:300]
    status.is_up = False


def _restart(status: TaskStatus) -> None:
    status.restarts += 1
    status.is_up = True
