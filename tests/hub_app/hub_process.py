"""The hub as a process; it renders with the dashboard's Python modules instead of the component.

Its disk is half full, however full that of the machine is.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from bus import journal_log
from bus.config import command_line
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from hub_app.alarms import machine, monitor
from hub_app.bus_link import bus_feed
from hub_app.history.recorder import Recorder
from hub_app.live import commander
from hub_app.process import server
from tests.plugins.dashboard.modules import render
from tests.support import wait_until

# Variable of the environment: the seconds that the hub waits for a node's answer.
RESULT_TIMEOUT = "TEST_RESULT_TIMEOUT_S"
# Variable of the environment: a file for which the start of the history waits.
SLOW_START = "TEST_SLOW_START"
# Variable of the environment: alarms that a test publishes stay. The hub clears those that it has
# not raised.
KEEPS_ALARMS = "TEST_KEEPS_ALARMS"
_NEVER_MS = 1 << 60


class PlainRenderer:
    """Renders like the component, without a sandbox."""

    def render(self, text: str) -> str:
        return render(text)


@contextlib.contextmanager
def open_plain(_wasm: Path) -> Iterator[PlainRenderer]:
    yield PlainRenderer()


def half_full(_folder: Path) -> float:
    """Return how full the disk is, in place of the machine's own."""
    return 50.0


def program(config: Config) -> Callable[..., Coroutine[Any, Any, None]]:
    if config.cluster.role != "fleet":
        return server.run
    # As in the program itself: a hub needs no client of PostgreSQL.
    from hub_app.fleet.page import server as fleet_server  # noqa: PLC0415

    return fleet_server.run


class SlowRecorder(Recorder):
    """Recorder that opens the history once a test lets it."""

    def start(self) -> None:
        wait_until(Path(os.environ[SLOW_START]).exists)
        super().start()


def main() -> None:
    if SLOW_START in os.environ:
        bus_feed.Recorder = SlowRecorder  # type: ignore[misc]
    if KEEPS_ALARMS in os.environ:
        monitor._RECONCILE_MS = _NEVER_MS
    # A node of a test may starve for seconds before it answers.
    machine._disk_percent = half_full
    commander.RESULT_TIMEOUT_S = float(os.environ.get(RESULT_TIMEOUT, "30"))
    config = command_line.load(command_line.parser("hub", "").parse_args(), "hub")
    try:
        asyncio.run(program(config)(config, open_plain, os.environ))
    except MisconfiguredError as e:
        journal_log.print_error(str(e))
        sys.exit(command_line.EXIT_MISCONFIGURED)


if __name__ == "__main__":
    main()
