"""Garbage collection of the hub."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

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


@pytest.fixture
def rare() -> Iterator[None]:
    with garbage.rare_full_collections():
        yield


def old_ring() -> tuple[Ring, asyncio.Event]:
    """Return a cycle that survived the young collections, and what is set when it is gone."""
    ring, gone = Ring(), asyncio.Event()
    weakref.finalize(ring, gone.set)
    gc.collect(0)
    gc.collect(1)
    return ring, gone


@pytest.mark.usefixtures("rare")
def test_cycles_that_are_not_young_any_more_are_collected_regularly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(garbage, "EVERY_S", 0.01)

    async def run() -> None:
        task = asyncio.create_task(garbage.collect_regularly())
        # It has begun.
        await asyncio.sleep(0)
        ring, gone = old_ring()
        del ring
        await asyncio.wait_for(gone.wait(), 60)
        task.cancel()

    asyncio.run(run())


@pytest.mark.usefixtures("rare")
def test_a_collection_passes_over_what_was_there_before() -> None:
    freezer = garbage.Freezer()
    kept = [[n] for n in range(100_000)]
    freezer.run()
    assert gc.get_freeze_count() > len(kept)
    assert len(gc.get_objects(2)) < 10_000


@pytest.mark.usefixtures("rare")
def test_a_cycle_that_died_frozen_is_found_once_there_is_much_more() -> None:
    freezer = garbage.Freezer()
    ring, gone = old_ring()
    gc.freeze()
    del ring
    most = gc.get_freeze_count() + 10_000
    assert not garbage.collect_frozen(most)
    assert not gone.is_set()
    kept = [[n] for n in range(20_000)]
    freezer.run()
    assert garbage.collect_frozen(most)
    assert gone.is_set()
    assert kept


@pytest.mark.usefixtures("rare")
def test_frozen_objects_are_counted_regularly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "EVERY_S", 0.01)
    monkeypatch.setattr(garbage, "COUNT_EVERY_S", 0.0)
    monkeypatch.setattr(garbage, "GROWN", 0)

    async def run() -> None:
        ring, gone = old_ring()
        gc.freeze()
        del ring
        task = asyncio.create_task(garbage.collect_regularly())
        await asyncio.wait_for(gone.wait(), 60)
        task.cancel()

    asyncio.run(run())
