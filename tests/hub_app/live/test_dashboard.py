"""Rendering of the page by the dashboard plugin."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.errors import UnavailableError
from hub_app.live.dashboard import Dashboard, PageNotReadyError, PageUnavailableError
from tests.support import WAIT_S


class Plugin:
    """A dashboard plugin that names the file it was opened from, and fails on demand."""

    def __init__(self, build: str) -> None:
        self._build = build

    def render(self, text: str) -> str:
        if text == "trap":
            raise UnavailableError("unreachable executed")
        return f"{self._build}:{text}"


class Opened:
    """Opens plugins, and counts how many are open and were ever."""

    def __init__(self) -> None:
        self.now = 0
        self.ever = 0

    @contextlib.contextmanager
    def __call__(self, wasm: Path) -> Iterator[Plugin]:
        self.now += 1
        self.ever += 1
        yield Plugin(wasm.read_text())
        self.now -= 1


@pytest.fixture
def wasm(tmp_path: Path) -> Path:
    path = tmp_path / "dashboard.wasm"
    path.write_text("one")
    return path


def test_an_opening_that_waits_for_the_compiler_does_not_delay_the_end(wasm: Path) -> None:
    compiles, is_ended = threading.Event(), threading.Event()

    def open_slowly(_wasm: Path) -> contextlib.AbstractContextManager[Plugin]:
        compiles.set()
        assert is_ended.wait(WAIT_S)
        raise UnavailableError("the compiler ended with -9")

    async def run() -> None:
        dashboard = Dashboard(lambda: wasm, open_slowly, is_ended.set)
        first = asyncio.create_task(dashboard.render("a", lambda: "a"))
        await asyncio.to_thread(compiles.wait, WAIT_S)
        next_one = asyncio.create_task(dashboard.render("b", lambda: "b"))
        await dashboard.close()
        with pytest.raises(PageUnavailableError, match="the compiler ended"):
            await first
        with pytest.raises((PageUnavailableError, RuntimeError)):
            await next_one

    asyncio.run(run())


def test_the_plugin_stays_open_between_pages_and_is_closed_at_the_end(wasm: Path) -> None:
    opened = Opened()

    async def run() -> list[str]:
        dashboard = Dashboard(lambda: wasm, opened)
        pages = [await dashboard.render(shape, lambda: "a") for shape in range(3)]
        assert opened.now == 1
        await dashboard.close()
        return pages

    assert asyncio.run(run()) == ["one:a"] * 3
    assert (opened.now, opened.ever) == (0, 1)


def test_a_new_build_is_opened_without_a_restart(wasm: Path) -> None:
    async def run() -> list[str]:
        dashboard = Dashboard(lambda: wasm, Opened())
        first = await dashboard.render(1, lambda: "a")
        await asyncio.to_thread(wasm.write_text, "two!")
        second = await dashboard.render(2, lambda: "a")
        await dashboard.close()
        return [first, second]

    assert asyncio.run(run()) == ["one:a", "two!:a"]


def test_a_page_just_rendered_is_reused_unless_it_lacks_a_topic(wasm: Path) -> None:
    async def run() -> list[str]:
        dashboard = Dashboard(lambda: wasm, Opened())
        pages = [
            await dashboard.render(shape, lambda text=text: text)
            for shape, text in ((1, "a"), (1, "b"), (2, "c"))
        ]
        await dashboard.close()
        return pages

    assert asyncio.run(run()) == ["one:a", "one:a", "one:c"]


def test_a_failed_plugin_is_named_and_opened_afresh(wasm: Path) -> None:
    opened = Opened()

    async def run() -> str:
        dashboard = Dashboard(lambda: wasm, opened)
        with pytest.raises(PageUnavailableError, match="unreachable executed"):
            await dashboard.render(1, lambda: "trap")
        page = await dashboard.render(2, lambda: "a")
        await dashboard.close()
        return page

    assert asyncio.run(run()) == "one:a"
    assert (opened.now, opened.ever) == (0, 2)


def test_a_missing_plugin_is_named(tmp_path: Path) -> None:
    async def run() -> None:
        dashboard = Dashboard(lambda: tmp_path / "none.wasm", Opened())
        with pytest.raises(PageUnavailableError, match=r"none\.wasm is not there"):
            await dashboard.render(1, lambda: "a")
        await dashboard.close()

    asyncio.run(run())


def test_a_page_does_not_wait_long_for_the_compiler(
    wasm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_app.live.dashboard._PATIENCE_S", 0.01)
    compiles, is_compiled = threading.Event(), threading.Event()

    @contextlib.contextmanager
    def open_slowly(_wasm: Path) -> Iterator[Plugin]:
        compiles.set()
        assert is_compiled.wait(WAIT_S)
        yield Plugin("one")

    async def run() -> str:
        dashboard = Dashboard(lambda: wasm, open_slowly)
        first = asyncio.create_task(dashboard.render(1, lambda: "a"))
        await asyncio.to_thread(compiles.wait, WAIT_S)
        with pytest.raises(PageNotReadyError, match="is being compiled"):
            await dashboard.render(2, lambda: "b")
        is_compiled.set()
        assert await first == "one:a"
        page = await dashboard.render(2, lambda: "b")
        await dashboard.close()
        return page

    assert asyncio.run(run()) == "one:b"
