"""Turns: keys in turn, preferred ones first, and waiters that give up."""

import asyncio

import pytest

from broker.turns import Turns


async def taken(turns: Turns, waiters: list[tuple[str, bool]]) -> list[str]:
    """Let waiters come while a turn is taken; return their keys in the order of their turns."""
    order: list[str] = []

    async def take(key: str, *, is_preferred: bool) -> None:
        async with turns.turn(key, is_preferred=is_preferred):
            order.append(key)

    async with turns.turn("holder"):
        tasks = [asyncio.create_task(take(key, is_preferred=first)) for key, first in waiters]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return order


def test_keys_have_their_turns_one_after_the_other() -> None:
    waiters = [("a", False), ("a", False), ("a", False), ("b", False), ("c", False)]
    assert asyncio.run(taken(Turns(), waiters)) == ["a", "b", "c", "a", "a"]


def test_preferred_keys_go_first() -> None:
    waiters = [("a", False), ("b", True), ("b", True), ("c", False)]
    assert asyncio.run(taken(Turns(), waiters)) == ["b", "b", "a", "c"]


def test_a_waiter_that_gives_up_holds_nobody_up() -> None:
    async def run() -> list[str]:
        turns = Turns()
        order: list[str] = []

        async def take(key: str) -> None:
            async with turns.turn(key):
                order.append(key)

        async with turns.turn("holder"):
            tasks = [asyncio.create_task(take(key)) for key in ("early", "late", "last")]
            await asyncio.sleep(0)
            tasks[0].cancel()
        # It has its turn already, and does not know yet.
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with turns.turn("later"):
            return order

    assert asyncio.run(run()) == ["last"]


def test_a_turn_that_fails_ends() -> None:
    async def fail(turns: Turns) -> None:
        async with turns.turn("a"):
            raise ValueError("failed")

    async def run() -> None:
        turns = Turns()
        for _ in range(2):
            with pytest.raises(ValueError, match="failed"):
                await fail(turns)

    asyncio.run(run())
