"""Delivery of one plugin in the cycle: the file to run, the one to try, and what became of it."""

import queue
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

from bus.clock import now_ms
from bus.contract.messages import DeliveryState
from node_agent.delivery import progress
from node_agent.delivery.progress import Progress, Version

# Brings the progress to the disk, without waiting for it.
Save = Callable[[Progress], object]


class Change(Protocol):
    """A step of the progress."""

    def __call__(self, found: Progress, /, *, now_ms: int) -> Progress: ...


_HELD = "the plugin is disabled by a command; it is tried once that is enabled"


def _save_nothing(_progress: Progress) -> None:
    return


class PluginDelivery:
    """The orders of one plugin, in the cycle's thread.

    Any thread may call `accept`, `refuse`, `fetching` and `fetched`. `own_file` locates the node's
    own file, `file_of` that of a delivered version.
    """

    def __init__(
        self,
        own_file: Callable[[], Path],
        file_of: Callable[[Version], Path] = lambda _version: Path(),
        found: Progress | None = None,
        save: Save = _save_nothing,
    ) -> None:
        self._own_file = own_file
        self._file_of = file_of
        self._progress = found or Progress()
        self._save = save
        # The crossing from the threads that verify and fetch.
        self._changes: queue.SimpleQueue[Change] = queue.SimpleQueue()
        self._fetching = ""
        self._refused = ("", 0)
        self._is_held = False

    def accept(self, version: Version, *, is_here: bool = True) -> None:
        """Take an order that was verified, and whose file is on the disk or to be fetched.

        What was refused before it is not told any more.
        """
        self._refused = ("", 0)
        self._changes.put(partial(progress.take, wanted=version, is_here=is_here))

    def is_fetching(self, version: Version) -> bool:
        """Whether a version is to be fetched, after a start of the node."""
        return self._progress.phase == progress.FETCHING and self._progress.wanted == version

    def fetching(self, words: str) -> None:
        """Tell how far the fetch of a component is, or why it has to wait."""
        self._fetching = words

    def fetched(self, version: Version, error: str = "") -> None:
        """Note the end of a fetch: the file is on the disk, or not to be had."""
        self._changes.put(partial(progress.fetched, wanted=version, error=error))

    def refuse(self, reason: str) -> None:
        """Tell of a message that was no order for this node."""
        self._refused = (reason, now_ms())

    @property
    def state(self) -> DeliveryState | None:
        """What to tell, None where there was never an order."""
        refused, refused_ms = self._refused
        if not self._progress.wanted.release and not refused:
            return None
        state = progress.state_of(self._progress, refused, refused_ms)
        if state.phase == progress.FETCHING:
            return msgspec.structs.replace(state, reason=self._fetching)
        if self._is_held and state.phase == progress.TRIAL:
            return msgspec.structs.replace(state, reason=_HELD)
        return state

    def admit(self, path: Path, sha256: str) -> str:
        """Return the sentence that refuses the bytes that were loaded from a path, or nothing."""
        found = self._progress
        for version in (found.wanted, found.current, found.good):
            if not version.is_own_file and self._file_of(version) == path:
                if version.sha256 == sha256:
                    return ""
                return f"{path}: found sha256 {sha256[:12]}, expected {version.sha256[:12]}"
        return ""

    def path(self) -> Path:
        """Return the file that is to run."""
        return self._path_of(self._progress.current)

    def begin_cycle(self, *, is_enabled: bool = True) -> None:
        """Take the orders that have come; a disabled plugin tries none of them."""
        self._is_held = not is_enabled
        while not self._changes.empty():
            self._change(self._changes.get()(self._progress, now_ms=now_ms()))

    def offered(self) -> Path | None:
        """Return the file to try beside the running one, None where there is none."""
        found = self._progress
        return self._path_of(found.wanted) if found.phase == progress.TRIAL else None

    def shadowed(self) -> Path | None:
        """Return the file that polls beside the running one, None where there is none."""
        found = self._progress
        return self._path_of(found.wanted) if found.phase == progress.SHADOW else None

    def shadow_polled(self, polls: int) -> None:
        """Note how often the version in the shadow has polled since it was loaded."""
        self._change(progress.shadow_polled(self._progress, polls))

    def tried(self, error: str = "") -> None:
        """Note the end of the trial: the version polled, or failed with `error`."""
        self._change(progress.tried(self._progress, error, now_ms()))

    def polled(self, path: Path, good: int, bad: int, fault: str) -> str:
        """Note the polls of the file that runs; return why it is to go back, or nothing."""
        if path != self.path() or not self._progress.is_on_probation:
            return ""
        before = self.path()
        self._change(progress.polled(self._progress, good, bad, fault, now_ms()))
        return "" if self.path() == before else self._progress.reason

    def failed(self, path: Path, error: str) -> bool:
        """Note a failure of the file that ran; return whether another one is to run now."""
        if path != self.path():
            return False
        self._change(progress.failed(self._progress, error, now_ms()))
        return self.path() != path

    def _path_of(self, version: Version) -> Path:
        return self._own_file() if version.is_own_file else self._file_of(version)

    def _change(self, changed: Progress) -> None:
        before, self._progress = self._progress, changed
        # The number of polls alone is worth no write: they begin anew after a restart.
        if changed != msgspec.structs.replace(before, polls=changed.polls):
            self._save(changed)
