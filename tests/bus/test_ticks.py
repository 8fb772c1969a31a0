"""Common ticks of periodic tasks."""

import asyncio

import pytest

from bus.ticks import next_tick


def test_tasks_that_begin_at_any_time_wait_for_the_same_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> list[float]:
        loop = asyncio.get_running_loop()
        slept: list[float] = []

        async def sleep(delay_s: float) -> None:
            slept.append(delay_s)

        monkeypatch.setattr(asyncio, "sleep", sleep)
        for now_s in (7.0, 7.1, 7.4, 7.9):
            monkeypatch.setattr(loop, "time", lambda now_s=now_s: now_s)
            await next_tick(0.5)
        monkeypatch.undo()
        return slept

    assert asyncio.run(run()) == pytest.approx([0.5, 0.4, 0.1, 0.1])
