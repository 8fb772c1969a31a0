"""Garbage collection of the hub."""

import asyncio
import gc
import weakref

import pytest

from hub_app.process import garbage


class Ring:
    """An object that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_full_collections_do_not_come_by_themselves() -> None:
    before = gc.get_threshold()
    with garbage.rare_full_collections():
        gc.collect()
        known = gc.get_stats()[2]["collections"]
        kept = [[n] for n in range(300_000)]
        assert gc.get_stats()[2]["collections"] == known
        # Young cycles are found nevertheless.
        assert gc.get_stats()[0]["collections"] > 0
        del kept
    assert gc.get_threshold() == before


def test_old_cycles_are_collected_regularly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "EVERY_S", 0.01)

    async def run() -> None:
        ring = Ring()
        gone = asyncio.Event()
        weakref.finalize(ring, gone.set)
        with garbage.rare_full_collections():
            # Old by now.
            gc.collect()
            del ring
            task = asyncio.create_task(garbage.collect_regularly())
            await asyncio.wait_for(gone.wait(), 60)
            task.cancel()

    asyncio.run(run())


def test_full_collections_that_find_little_become_seldom_up_to_one_a_day() -> None:
    waits_s = [garbage.EVERY_S]
    for _ in range(12):
        waits_s.append(garbage.next_wait_s(waits_s[-1], 0))
    assert waits_s[1] == 2 * garbage.EVERY_S
    assert waits_s[-1] == garbage.SELDOM_S
    assert garbage.next_wait_s(waits_s[-1], garbage.WORTH) == garbage.EVERY_S
