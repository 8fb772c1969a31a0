"""Turns: one piece of work at a time, for each key in turn, however many wait under one of them."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class Turns:
    """Fair lock for one event loop. Those that wait under one key have their turns in order."""

    def __init__(self) -> None:
        self._is_taken = False
        # Keys with waiters; preferred ones first. The first key of each has the next turn.
        self._lines: tuple[_Lines, _Lines] = ({}, {})

    @contextlib.asynccontextmanager
    async def turn(self, key: str, *, is_preferred: bool = False) -> AsyncIterator[None]:
        """Wait for a turn and keep it for the block. Preferred keys go before all others."""
        if self._is_taken:
            await self._wait(self._lines[0 if is_preferred else 1], key)
        self._is_taken = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, lines: "_Lines", key: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lines.setdefault(key, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # The turn may have come just before.
            if not turn.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        for lines in self._lines:
            while lines:
                key = next(iter(lines))
                line = lines.pop(key)
                turn = line.popleft()
                if line:
                    lines[key] = line
                # Who was cancelled waits no more.
                if not turn.done():
                    turn.set_result(None)
                    return
        self._is_taken = False


_Lines = dict[str, deque[asyncio.Future[None]]]
