"""Work on thousands of items in slices, between which the event loop does everything else."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")

# Of a step of the loop, which a garbage collection may prolong.
_SLICE_S = 0.005


async def sliced(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield the items, which are made in their turn; other tasks run after each slice of them."""
    end_s = time.perf_counter() + _SLICE_S
    for item in items:
        yield item
        if time.perf_counter() >= end_s:
            await asyncio.sleep(0)
            end_s = time.perf_counter() + _SLICE_S
