"""Last use of each API token, in a file that is written every ten minutes at most.

A program may ask several times a second; an SD card would wear out.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from bus.clock import now_ms
from bus.files import json_file
from bus.files.json_file import SavedOnChange
from bus.ticks import next_tick

FILE_NAME = "token_uses.json"
_LOOK_S = 1.0
# Later uses are written by the next one that is so much later, and at the hub's end.
_WRITE_MS = 600_000


class TokenUses:
    """Time of the last use by the name of a token; on the event loop. None keeps no file."""

    def __init__(self, path: Path | None = None, clock_ms: Callable[[], int] = now_ms) -> None:
        self._clock_ms = clock_ms
        self._file = SavedOnChange(path)
        self._last_ms = dict(load(path)) if path is not None else {}
        self._written_ms = dict(self._last_ms)

    def note(self, name: str) -> None:
        """Note that the token was used now."""
        self._last_ms[name] = self._clock_ms()
        if abs(self._last_ms[name] - self._written_ms.get(name, 0)) >= _WRITE_MS:
            self._file.changed()

    def keep_only(self, names: set[str]) -> None:
        """Forget the tokens that are gone."""
        for name in self._last_ms.keys() - names:
            del self._last_ms[name]

    async def run(self) -> None:
        """Write the file where it is due, until cancelled."""
        while True:
            await next_tick(_LOOK_S)
            await asyncio.to_thread(self.save)

    def save(self, *, all_uses: bool = False) -> None:
        """Write the file where it is due; with `all_uses`, where any use is newer than it."""
        if all_uses and self._last_ms != self._written_ms:
            self._file.changed()
        self._file.save(self._snapshot)

    def _snapshot(self) -> Mapping[str, int]:
        self._written_ms = dict(self._last_ms)
        return self._written_ms


def load(path: Path) -> dict[str, int]:
    """Return the times in the file; none where it is missing or damaged."""
    return json_file.load(path, dict[str, int], "the last uses of tokens are lost") or {}
