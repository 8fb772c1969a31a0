"""Garbage collection of the hub: full collections are rare, as each one holds the event loop.

CPython runs one whenever a quarter of all objects is new. In a hub, every reading replaces the
objects of the last one, so that came every few seconds, and took 0.1 s with 1,000 nodes (measured).
Objects are freed without it, but for cycles, which the collections of young objects find, too.
"""

import asyncio
import contextlib
import gc
from collections.abc import Iterator

EVERY_S = 600.0
# New objects before a collection of the youngest, and how many of these before one of the next.
_YOUNG, _MIDDLE = 5_000, 20
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
    """Collect all garbage every ten minutes, until cancelled."""
    while True:
        await asyncio.sleep(EVERY_S)
        gc.collect()
