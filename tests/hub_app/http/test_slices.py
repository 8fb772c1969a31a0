"""Work in slices lets others go on."""

import asyncio

import pytest

from hub_app.http import slices
from hub_app.http.slices import sliced


def test_others_run_between_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "_SLICE_S", 0.0)
    turns: list[str] = []

    async def go(name: str) -> list[int]:
        return [number async for number in sliced(range(3)) if not turns.append(name)]

    async def both() -> list[list[int]]:
        return await asyncio.gather(go("a"), go("b"))

    assert asyncio.run(both()) == [[0, 1, 2]] * 2
    assert turns == ["a", "b"] * 3
