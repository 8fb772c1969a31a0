"""Garbage collection of the hub, in steps that are short however many nodes there are.

A full collection looks at every object that may be part of a cycle, and nothing else runs
meanwhile: 0.1 s with 1,000 nodes (measured). So none comes by itself, and what has lived for a
while is frozen: collections pass it over. Objects are freed without any collection, but for cycles,
and those nearly all die young. Cycles that died frozen are found once there are several times as
many frozen objects as there were: then everything is looked at, once.
"""

import asyncio
import contextlib
import gc
from collections.abc import Iterator

EVERY_S = 60.0
# What has grown so much is collected whole. A fleet of 5,000 nodes that come one after the other
# grows from the hub's own objects to less than that.
GROWN = 6
# More new objects than these are frozen as they are, without a collection before. One of as many
# takes 10 ms.
_FEW = 20_000
# New objects before a collection of the youngest, and how many of these before one of the next. A
# collection of all young ones takes 0.2 to 1 us for each (measured): up to 10 ms.
_YOUNG, _MIDDLE = 1_000, 10
_NEVER = 1_000_000_000


@contextlib.contextmanager
def rare_full_collections() -> Iterator[None]:
    """Let no full collection come by itself; `collect_regularly` makes them."""
    before = gc.get_threshold()
    gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def collect_regularly() -> None:
    """Collect the garbage among what is new, and freeze the rest, until cancelled."""
    freezer = Freezer()
    while True:
        await asyncio.sleep(EVERY_S)
        freezer.run()


class Freezer:
    """Collects garbage and freezes what is left; everything is new to the first run."""

    def __init__(self, grown: float = GROWN) -> None:
        self._grown = grown
        self._most = 0.0

    def run(self) -> None:
        """Collect what is new; all, where the frozen objects are many times what they were."""
        if self._most and gc.get_freeze_count() > self._most:
            gc.unfreeze()
            gc.collect()
            self._most = 0.0
        elif len(gc.get_objects(2)) <= _FEW:
            gc.collect()
        gc.freeze()
        self._most = self._most or self._grown * gc.get_freeze_count()
