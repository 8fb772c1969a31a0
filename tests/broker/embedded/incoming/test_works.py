"""Long works: the slices of many clients leave time for others."""

import asyncio
import functools
import itertools

import pytest

from broker.embedded.incoming import works
from broker.embedded.incoming.works import Works


def test_slices_of_many_works_are_done_in_turn_and_others_go_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(works, "_ROUND_S", 0.0)
    done: list[str] = []

    async def run() -> None:
        shared, end = Works(), asyncio.Event()

        def do(name: str, left: int) -> None:
            done.append(name)
            if left:
                shared.add(functools.partial(do, name, left - 1))
            elif name == "b":
                end.set()

        def other() -> None:
            done.append("other")
            if not end.is_set():
                asyncio.get_running_loop().call_soon(other)

        shared.add(functools.partial(do, "a", 2))
        shared.add(functools.partial(do, "b", 2))
        asyncio.get_running_loop().call_soon(other)
        await end.wait()

    asyncio.run(run())
    slices = [name for name in done if name != "other"]
    assert slices == ["a", "b"] * 3
    assert all("other" in pair for pair in itertools.pairwise(done))


def test_the_others_slices_are_done_after_a_fault_in_one() -> None:
    async def run() -> None:
        shared, end = Works(), asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        shared.add(lambda: {}["missing"])
        shared.add(end.set)
        await end.wait()

    asyncio.run(run())
