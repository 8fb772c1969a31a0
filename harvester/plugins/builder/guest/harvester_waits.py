"""Waits of `threading` and `queue` in a guest, which has no threads.

There, waiting for a lock with a timeout ends at once. Nobody else could notify a condition: so its
timeout passes, as `time.sleep` does, which the host ends at the deadline. It runs in the guest's
Python.
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
    """Let the conditions of the standard library's `threading` wait; other modules stay."""
    if getattr(module, "__name__", "") == "threading":
        module.Condition.wait = _wait


def _wait(condition: Any, timeout: float | None = None) -> bool:
    """Wait as `threading.Condition.wait` does where nobody notifies."""
    if not condition._is_owned():  # noqa: SLF001
        raise RuntimeError("cannot wait on un-acquired lock")
    time.sleep(_FOREVER_S if timeout is None else max(timeout, 0.0))
    return False
