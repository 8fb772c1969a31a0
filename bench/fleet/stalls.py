"""The hub as a process that names the callbacks which hold its event loop for 20 ms of CPU."""

import asyncio
import atexit
import sys
import time
from collections import defaultdict

from tests.hub_app import hub_process

_LIMIT_S = 0.02


def _install() -> None:
    found: dict[str, list[float]] = defaultdict(list)
    run = asyncio.Handle._run  # noqa: SLF001 - asyncio's debug mode costs more and counts wall time

    def timed(handle: asyncio.Handle) -> None:
        began_s = time.thread_time()
        run(handle)
        took_s = time.thread_time() - began_s
        if took_s > _LIMIT_S:
            found[_name(handle)].append(took_s)

    def tell() -> None:
        for name, took_s in found.items():
            sys.stderr.write(
                f"stalls of the loop: {len(took_s)}, longest {max(took_s) * 1000:.0f} ms: {name}\n"
            )

    asyncio.Handle._run = timed  # type: ignore[method-assign]  # noqa: SLF001
    atexit.register(tell)


def _name(handle: asyncio.Handle) -> str:
    callback = handle._callback  # type: ignore[attr-defined]  # noqa: SLF001
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
