"""Tasks of the hub that end unexpectedly are started again."""

import asyncio
import logging
import threading

import pytest

from hub_app.process.supervisor import Supervisor
from tests.support import WAIT_S


def test_a_task_that_raises_or_ends_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    async def supervise() -> Supervisor:
        supervisor, runs = Supervisor(first_s=0.01), 0
        reached = asyncio.Event()

        async def start() -> None:
            nonlocal runs
            runs += 1
            if runs == 1:
                raise ValueError("a fault of the hub")
            if runs == 3:
                reached.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(supervisor.run("sweep", start))
        await asyncio.wait_for(reached.wait(), WAIT_S)
        task.cancel()
        return supervisor

    with caplog.at_level(logging.ERROR):
        (status,) = asyncio.run(supervise()).tasks
    assert (status.name, status.is_up, status.restarts) == ("sweep", True, 2)
    assert status.last_error == "it ended"
    assert "a fault of the hub" in caplog.text


def test_a_task_that_waits_for_its_restart_is_down() -> None:
    async def supervise() -> Supervisor:
        supervisor, failed = Supervisor(first_s=WAIT_S), asyncio.Event()

        async def start() -> None:
            failed.set()
            raise ValueError("bad")

        task = asyncio.create_task(supervisor.run("ingest", start))
        await asyncio.wait_for(failed.wait(), WAIT_S)
        await asyncio.sleep(0)
        task.cancel()
        return supervisor

    supervisor = asyncio.run(supervise())
    assert not supervisor.is_up
    assert supervisor.tasks[0].last_error == "ValueError('bad')"


def test_a_threads_work_that_raises_is_done_again_until_it_returns() -> None:
    supervisor, waits = Supervisor(first_s=0.5), list[float]()
    failures = iter((KeyError("a"), KeyError("b")))

    def work() -> None:
        error = next(failures, None)
        if error is not None:
            raise error

    thread = threading.Thread(target=supervisor.run_here, args=("history", work, waits.append))
    thread.start()
    thread.join(WAIT_S)
    assert waits == [0.5, 1.0]
    assert (supervisor.tasks[0].restarts, supervisor.is_up) == (2, True)


def test_tasks_run_until_their_context_ends() -> None:
    ended: list[str] = []

    async def supervise() -> list[str]:
        supervisor, started = Supervisor(), {name: asyncio.Event() for name in ("a", "b")}

        async def work(name: str) -> None:
            started[name].set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(name)

        async with supervisor.running({"a": lambda: work("a"), "b": lambda: work("b")}):
            for event in started.values():
                await asyncio.wait_for(event.wait(), WAIT_S)
            assert ended == []
        # The context has waited for their end.
        return sorted(ended)

    assert asyncio.run(supervise()) == ["a", "b"]
