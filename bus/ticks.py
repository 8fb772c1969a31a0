"""Common ticks of periodic tasks: those that wait for the same one wake the event loop once."""

import asyncio


async def next_tick(interval_s: float) -> None:
    """Sleep until the loop's time is a multiple of an interval."""
    await asyncio.sleep(until_tick_s(interval_s))


def until_tick_s(interval_s: float) -> float:
    """Return the seconds until the loop's time is a multiple of an interval."""
    return interval_s - asyncio.get_running_loop().time() % interval_s
