"""Watchdog for a test run: once pytest is gone, however it ended, it kills what it left running.

Every process that a test starts inherits an environment variable with the run's name, also in a
session of its own. The watchdog looks for that.
"""

import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

VARIABLE = "HARVESTER_TEST_RUN"
_LOOK_S = 0.5


def watch() -> None:
    """Start the watchdog of this process; one that another run started already is enough."""
    if VARIABLE in os.environ:
        return
    run = secrets.token_hex(8)
    # Ctrl-C must not reach it, and a pipe that reads our output must not wait for it.
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", __file__, run, str(os.getpid())],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)],
        setsid=True,
    )
    os.environ[VARIABLE] = run


def members(run: str) -> Iterator[int]:
    """Yield the processes of the run."""
    mark = f"{VARIABLE}={run}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        # A process may end while it is being looked at, or belong to somebody else.
        with suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                yield int(process.name)


def _main(run: str, pytest: int) -> None:
    while os.getppid() == pytest:
        time.sleep(_LOOK_S)
    while found := list(members(run)):
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
