"""Garbage collection of the hub, in steps that are short however many nodes there are.

A full collection looks at every object that may be part of a cycle, and nothing else runs
meanwhile: 0.1 s with 1,000 nodes (measured). So none comes by itself. What has survived the
collections of young objects is collected once more and then frozen: later collections pass it over.
Objects are freed without any collection, but for cycles, and those nearly all die young. Cycles
that die frozen are found once there are several times as many frozen objects as at the start: then
everything is looked at, once.
"""

import contextlib
import gc
import time
from collections.abc import Iterator

from bus.ticks import next_tick

EVERY_S = 1.0
# Between two counts of the frozen objects, of which 300,000 take some milliseconds.
COUNT_EVERY_S = 600.0
# What has grown so much is collected whole. A fleet of 5,000 nodes grows to less.
GROWN = 6
# New objects before a collection of the youngest, and how many of these before one of the next. A
# collection of all young ones takes 0.2 to 1 us for each (measured): up to 5 ms.
_YOUNG, _MIDDLE = 500, 10
# Young collections whose survivors are collected again, some 10,000 objects: 10 ms.
_FEW = 2
_NEVER = 1_000_000_000


@contextlib.contextmanager
def rare_full_collections() -> Iterator[None]:
    """Let no full collection come by itself, and freeze what there is at the start."""
    before = gc.get_threshold()
    gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)
    gc.freeze()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def collect_regularly() -> None:
    """Collect and freeze what is not young any more, until cancelled."""
    freezer = Freezer()
    most = GROWN * gc.get_freeze_count()
    counted_s = time.monotonic()
    while True:
        await next_tick(EVERY_S)
        freezer.run()
        if time.monotonic() - counted_s >= COUNT_EVERY_S:
            counted_s = time.monotonic()
            if collect_frozen(most):
                most = GROWN * gc.get_freeze_count()


class Freezer:
    """Collects once more what has survived the collections of young objects, and freezes it."""

    def __init__(self) -> None:
        self._seen = _young_collections()

    def run(self) -> None:
        """Freeze what has survived since the last run; where that is much, without a collection."""
        found = _young_collections() - self._seen
        if 0 < found <= _FEW:
            gc.collect()
        if found:
            gc.freeze()
        self._seen = _young_collections()


def _young_collections() -> int:
    """Return how many there were since the last full collection, which begins at 0 again."""
    return gc.get_count()[2]


def collect_frozen(most: int) -> bool:
    """Collect everything where more than `most` objects are frozen; return whether they were."""
    if gc.get_freeze_count() <= most:
        return False
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    return True
