"""The hub as a process that names the callbacks which hold its event loop for 20 ms of CPU.

Garbage collections are named on their own, with the callbacks in which they came.
"""

import asyncio
import atexit
import gc
import sys
import time
from collections import defaultdict

from tests.hub_app import hub_process

_LIMIT_S = 0.02


def _install() -> None:
    found: dict[str, list[float]] = defaultdict(list)
    _time_callbacks(found)
    _time_collections(found)

    def tell() -> None:
        for name, took_s in found.items():
            sys.stderr.write(
                f"stalls of the loop: {len(took_s)}, longest {max(took_s) * 1000:.0f} ms: {name}\n"
            )

    atexit.register(tell)


def _time_callbacks(found: dict[str, list[float]]) -> None:
    run = asyncio.Handle._run  # noqa: SLF001 - asyncio's debug mode costs more and counts wall time

    def timed(handle: asyncio.Handle) -> None:
        callback = handle._callback  # type: ignore[attr-defined]  # noqa: SLF001
        path = _path(callback)
        began_s = time.thread_time()
        run(handle)
        took_s = time.thread_time() - began_s
        if took_s > _LIMIT_S:
            found[path or _name(callback)].append(took_s)

    asyncio.Handle._run = timed  # type: ignore[method-assign]  # noqa: SLF001


def _time_collections(found: dict[str, list[float]]) -> None:
    began_s = 0.0

    def on_collection(phase: str, info: dict[str, int]) -> None:
        nonlocal began_s
        if phase == "start":
            began_s = time.thread_time()
        elif (took_s := time.thread_time() - began_s) > _LIMIT_S:
            found[f"garbage of generation {info['generation']}"].append(took_s)

    gc.callbacks.append(on_collection)


def _path(callback: object) -> str:
    """Return the path of the request that a callback answers; empty for any other callback."""
    owner = getattr(callback, "__self__", None)
    coroutine = owner.get_coro() if isinstance(owner, asyncio.Task) else None
    if getattr(coroutine, "__qualname__", "") != "RequestResponseCycle.run_asgi":
        return ""
    # Read before, as a coroutine that has ended has no frame.
    frame = getattr(coroutine, "cr_frame", None)
    return str(frame.f_locals["self"].scope["path"]) if frame is not None else ""


def _name(callback: object) -> str:
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        coroutine = owner.get_coro()
        # The tasks of the hub have their name as an argument of their supervisor.
        frame = getattr(coroutine, "cr_frame", None)
        name = frame.f_locals.get("name") if frame is not None else None
        return f"task {name or owner.get_name()} {getattr(coroutine, '__qualname__', coroutine)}"
    return repr(callback)[:200]


if __name__ == "__main__":
    _install()
    hub_process.main()
