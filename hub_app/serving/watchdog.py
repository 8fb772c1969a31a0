"""Watchdog of the hub: a task on its event loop, so that a loop that hangs is noticed as well."""

import asyncio
import contextlib
import logging
from typing import Self

from bus.install.vital_signs import VitalSigns
from bus.service_manager import ServiceManager
from hub_app.hub import Hub

logger = logging.getLogger(__name__)

# A commit on a slow SD card takes seconds; a restart would not make it faster.
_PATIENCE_S = 120.0
# An update is judged by the status within a minute.
_STATUS_S = 5.0


class Watchdog:
    """Tells the service manager that the hub starts, is ready, and that every part goes on.

    While a part does not, nothing is sent, so that the service manager starts the hub anew.
    """

    def __init__(self, service: ServiceManager) -> None:
        self._service = service
        self._hub: Hub | None = None
        self._stalled: list[str] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._service.stopping()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def watch(self, hub: Hub) -> None:
        """The hub is ready: look after its parts from now on."""
        self._hub = hub
        self._service.ready()
        self._look(hub)

    async def _run(self) -> None:
        while True:
            if self._hub is None:
                self._service.starting("starting; the journal tells what is waited for")
            else:
                self._look(self._hub)
            await asyncio.sleep(min(self._service.interval_s, _STATUS_S))

    def _look(self, hub: Hub) -> None:
        stalled = stalled_parts(hub, _PATIENCE_S)
        if stalled and stalled != self._stalled:
            names = " and ".join(stalled)
            logger.critical("%s stands still: the service manager is told nothing", names)
        self._stalled = stalled
        if not stalled:
            faults = hub.faults
            signs = VitalSigns(
                stored=hub.history.statistics.stored,
                faults=len(faults),
                connected=int(hub.bus.connected),
            )
            self._service.show(signs, "; ".join(faults))
            self._service.keep_alive()


def stalled_parts(hub: Hub, patience_s: float) -> list[str]:
    """Return the parts that ended, or made no progress within `patience_s`."""
    parts = {"the broker": hub.broker.is_alive, "the history": hub.history.is_alive}
    return [name for name, is_alive in parts.items() if not is_alive(patience_s)]
