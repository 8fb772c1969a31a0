"""Waits of `threading` and `queue` in a guest, which has no threads.

There, waiting for a lock with a timeout ends at once. Nobody else could notify a condition: so its
timeout passes, as `time.sleep` does, which the host ends at the deadline. It runs in the guest's
Python.
"""

import time
from types import ModuleType
from typing import Any

# Longer than any deadline.
_FOREVER_S = 1e6


def mend(module: ModuleType) -> None:
    """Let the conditions of `threading`, and the queues of `queue`, wait; others stay."""
    name = getattr(module, "__name__", "")
    if name == "threading":
        module.Condition.wait = _wait
    elif name == "queue":
        # The one in C waits for a lock of its own.
        module.SimpleQueue = module._PySimpleQueue  # type: ignore[attr-defined]  # noqa: SLF001


def _wait(condition: Any, timeout: float | None = None) -> bool:
    """Wait as `threading.Condition.wait` does where nobody notifies."""
    if not condition._is_owned():  # noqa: SLF001
        raise RuntimeError("cannot wait on un-acquired lock")
    time.sleep(_FOREVER_S if timeout is None else max(timeout, 0.0))
    return False
