"""Alarms file: active alarms, mutes and notices, for the next start of the hub.

Written off the event loop, whole, whenever one of them changes. So a hub that is killed neither
forgets an acknowledgement nor begins an alarm twice.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from bus.errors import UnavailableError
from bus.fault import Fault
from bus.files import json_file
from hub_app.alarms.engine import Active
from hub_app.alarms.notices import Told
from hub_app.alarms.records import Record

logger = logging.getLogger(__name__)

FILE_NAME = "alarms.json"
_RETRY_S = 5.0
_WAIT_S = 10.0


class NotSavedError(UnavailableError):
    """The file could not be written in time; it is written later."""


class Saved(msgspec.Struct, frozen=True):
    """Content of the file. The keys of `muted` and `told` are `node/alarm`.

    `ended` are the alarms that ended last: the history may not have them yet.
    """

    active: list[Active] = []
    muted: dict[str, int] = {}
    told: dict[str, Told] = {}
    ended: list[Record] = []


class AlarmFile:
    """The file at `path`, None for none. All but the writing is on the event loop.

    `snapshot` returns what is to be written.
    """

    def __init__(self, path: Path | None) -> None:
        self.snapshot: Callable[[], Saved] = Saved
        self.fault = Fault("alarms file", logger=logger, level=logging.ERROR)
        self._path = path
        self._changes = 0
        self._written = 0
        self._wake = asyncio.Event()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._lock = threading.Lock()

    def load(self) -> Saved:
        if self._path is None:
            return Saved()
        lost = "acknowledgements and mutes are lost"
        return json_file.load(self._path, Saved, lost) or Saved()

    def changed(self) -> None:
        """Have the file written soon."""
        self._changes += 1
        self._wake.set()

    async def written(self) -> None:
        """Wait until what has changed so far is on the disk. Raises NotSavedError."""
        if self._path is None or self._written >= self._changes:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._changes, future))
        try:
            await asyncio.wait_for(future, _WAIT_S)
        except TimeoutError as e:
            raise NotSavedError(self.fault.reason or "the disk does not answer") from e

    async def run(self) -> None:
        """Write the file after each change, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self.flush():
                await asyncio.sleep(_RETRY_S)
                self._wake.set()

    async def flush(self) -> bool:
        """Write what has changed; return whether it is on the disk."""
        if self._path is None or self._written >= self._changes:
            return True
        changes, content = self._changes, self.snapshot()
        try:
            await asyncio.to_thread(self._write, self._path, content)
        except OSError as e:
            self.fault.failed(f"{self._path}: {e.strerror}")
            return False
        self.fault.worked()
        self._written = changes
        self._release()
        return True

    def _write(self, path: Path, content: Saved) -> None:
        # One that was cancelled may still be writing.
        with self._lock:
            json_file.save(path, content)

    def _release(self) -> None:
        done = [future for changes, future in self._waiting if changes <= self._written]
        self._waiting = [one for one in self._waiting if one[0] > self._written]
        for future in done:
            with contextlib.suppress(asyncio.InvalidStateError):
                future.set_result(None)
