"""Rendering of the page by the dashboard plugin, one page at a time, on its own thread."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol

from bus.errors import HarvesterError, UnavailableError

logger = logging.getLogger(__name__)

# A page up to this old is used again: the snapshot of its event stream brings it up to date.
_REUSE_S = 0.5
# A compiled plugin is opened sooner; the compiler takes up to a minute on a Raspberry Pi.
_PATIENCE_S = 10.0

# Inode, size and modification time: one of them differs in another build of the plugin.
Stamp = tuple[int, int, int]


class PageUnavailableError(UnavailableError):
    """The plugin is missing or failed; the message says why."""


class PageNotReadyError(PageUnavailableError):
    """The plugin is being compiled, which its first opening waits for."""


class Renderer(Protocol):
    """An open dashboard plugin."""

    def render(self, json_text: str) -> str: ...


OpenRenderer = Callable[[Path], AbstractContextManager[Renderer]]
# Lets an opening fail that waits for the compiler, for up to a minute on a Raspberry Pi.
EndCompiler = Callable[[], object]


def _nothing() -> None: ...


class Dashboard:
    """The plugin in the file that `locate` returns, opened on first use and when that changed."""

    def __init__(
        self,
        locate: Callable[[], Path],
        open_renderer: OpenRenderer,
        end_compiler: EndCompiler = _nothing,
    ) -> None:
        self._locate = locate
        self._open_renderer = open_renderer
        self._end_compiler = end_compiler
        self._is_closing = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dashboard")
        self._opened = ExitStack()
        self._renderer: Renderer | None = None
        self._stamp: Stamp | None = None
        self._lock = asyncio.Lock()
        self._page: tuple[Hashable, float, str] | None = None

    async def render(self, shape: Hashable, json_text: Callable[[], str]) -> str:
        """Return the page as HTML. `shape` identifies its set of elements and the visitor's role.

        `json_text` returns the plugin's input; it is called on the thread. Raises
        PageUnavailableError.
        """
        async with self._turn():
            if self._page is not None:
                page_shape, rendered_s, html = self._page
                if page_shape == shape and time.monotonic() - rendered_s < _REUSE_S:
                    return html
            loop = asyncio.get_running_loop()
            html = await loop.run_in_executor(self._thread, lambda: self._render(json_text()))
            self._page = (shape, time.monotonic(), html)
            return html

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for the page before. Raises PageNotReadyError where that waits for the compiler."""
        try:
            await asyncio.wait_for(self._lock.acquire(), None if self._renderer else _PATIENCE_S)
        except TimeoutError as e:
            raise PageNotReadyError(
                "the dashboard plugin is being compiled, which takes up to a minute after an update"
            ) from e
        try:
            yield
        finally:
            self._lock.release()

    async def close(self) -> None:
        """Close the plugin on the thread that opened it. Twice is fine."""
        self._is_closing = True
        self._end_compiler()
        await asyncio.to_thread(self._thread.submit(self._close).result)
        self._thread.shutdown()

    # The methods below run on the dashboard's own thread.

    def _render(self, text: str) -> str:
        try:
            return self._current().render(text)
        except HarvesterError as e:
            self._close()
            raise PageUnavailableError(f"the dashboard plugin failed: {e}") from e
        except Exception as e:
            logger.exception("the dashboard plugin failed")
            self._close()
            raise PageUnavailableError(f"the dashboard plugin failed: {e!r}") from e

    def _current(self) -> Renderer:
        file = self._locate()
        stamp = _read_stamp(file)
        if self._renderer is None or stamp != self._stamp:
            self._close()
            if self._is_closing:
                raise PageUnavailableError("the hub stops")
            self._renderer = self._opened.enter_context(self._open_renderer(file))
            self._stamp = stamp
        return self._renderer

    def _close(self) -> None:
        self._renderer = None
        self._opened.close()


def _read_stamp(file: Path) -> Stamp:
    try:
        stat = file.stat()
    except OSError as e:
        raise PageUnavailableError(f"{file} is not there; run `harvester plugins pack`") from e
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
