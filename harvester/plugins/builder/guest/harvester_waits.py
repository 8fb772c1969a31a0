"""Waits of `threading` and `queue` in a guest, which has no threads.

There, waiting for a lock with a timeout ends at once, and without one ends the guest. Nobody else
could notify a condition: so its timeout passes, as `time.sleep` does, which the host ends at the
deadline. It runs in the guest's Python.
"""

import queue
import time
from types import ModuleType
from typing import Any

# Longer than any deadline.
_FOREVER_S = 1e6


def install() -> None:
    """Let the queues of `queue` wait by conditions. Call it before a plugin is loaded.

    The part of `queue` in C, which it does without, waits for a lock.
    """
    queue.SimpleQueue = queue._PySimpleQueue  # type: ignore[attr-defined, misc]  # noqa: SLF001


def mend(module: ModuleType) -> None:
    """Give the standard library's `threading` the waits of a guest; other modules stay."""
    if getattr(module, "__name__", "") == "threading":
        module.Condition.wait = _wait
        module.Lock = _Lock  # type: ignore[attr-defined]


def _wait(condition: Any, timeout: float | None = None) -> bool:
    """Wait as `threading.Condition.wait` does where nobody notifies."""
    if not condition._is_owned():  # noqa: SLF001
        raise RuntimeError("cannot wait on un-acquired lock")
    time.sleep(_FOREVER_S if timeout is None else max(timeout, 0.0))
    return False


class _Lock:
    """Lock of `threading`. The one in C ends the guest without a word where it is held already."""

    def __init__(self) -> None:
        self._is_held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002
        if not self._is_held:
            self._is_held = True
            return True
        if blocking and timeout < 0:
            raise RuntimeError(
                "the lock is held already: there is no other thread that could release it"
            )
        if blocking:
            time.sleep(timeout)
        return False

    def release(self) -> None:
        if not self._is_held:
            raise RuntimeError("release unlocked lock")
        self._is_held = False

    def locked(self) -> bool:
        return self._is_held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
