"""Garbage collection of the hub: full collections are rare, as each one holds the event loop.

CPython runs one whenever a quarter of all objects is new. In a hub, every reading replaces the
objects of the last one, so that came every few seconds, and took 0.1 s with 1,000 nodes (measured).
Objects are freed without it, but for cycles, which the collections of young objects find, too.
One of 5,000 nodes takes a second, so it comes more seldom where the last one found little.
"""

import asyncio
import contextlib
import gc
from collections.abc import Iterator

EVERY_S = 600.0
SELDOM_S = 86_400.0
# Garbage that is worth a full collection: some 10 MB.
WORTH = 50_000
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


async def collect_regularly() -> None:
    """Collect all garbage after ten minutes, and then up to a day later, until cancelled."""
    wait_s = EVERY_S
    while True:
        await asyncio.sleep(wait_s)
        wait_s = next_wait_s(wait_s, gc.collect())


def next_wait_s(waited_s: float, found: int) -> float:
    """Return the time to the next full collection after one that found so many objects."""
    return EVERY_S if found >= WORTH else min(2 * waited_s, SELDOM_S)
