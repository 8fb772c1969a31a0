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
    """Return a cycle that no collection of young objects finds, and what is set when it is gone."""
    ring, gone = Ring(), asyncio.Event()
    weakref.finalize(ring, gone.set)
    gc.collect(0)
    gc.collect(1)
    return ring, gone


@pytest.mark.usefixtures("rare")
def test_old_cycles_are_collected_regularly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "EVERY_S", 0.01)
    frozen, freeze = asyncio.Event(), gc.freeze
    monkeypatch.setattr(gc, "freeze", lambda: (freeze(), frozen.set()))

    async def run() -> None:
        task = asyncio.create_task(garbage.collect_regularly())
        # The first run freezes all that pytest has loaded.
        await asyncio.wait_for(frozen.wait(), 60)
        ring, gone = old_ring()
        del ring
        await asyncio.wait_for(gone.wait(), 60)
        task.cancel()

    asyncio.run(run())


@pytest.mark.usefixtures("rare")
def test_a_collection_passes_over_what_is_frozen() -> None:
    freezer = garbage.Freezer()
    freezer.run()
    known = gc.get_freeze_count()
    kept = [[n] for n in range(100_000)]
    freezer.run()
    assert gc.get_freeze_count() > known + len(kept)
    # Old objects that a full collection would look at.
    assert len(gc.get_objects(2)) < 10_000


@pytest.mark.usefixtures("rare")
def test_a_cycle_that_died_frozen_is_found_once_there_is_much_more() -> None:
    freezer = garbage.Freezer(grown=1.5)
    freezer.run()
    ring, gone = old_ring()
    freezer.run()
    del ring
    freezer.run()
    assert not gone.is_set()
    kept = [[n] for n in range(gc.get_freeze_count())]
    freezer.run()
    freezer.run()
    assert gone.is_set()
    assert kept
