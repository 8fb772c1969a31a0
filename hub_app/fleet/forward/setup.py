"""Set-up of the forwarding in the hub: made where it is configured, run while the hub runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from bus.config.settings import Config
from hub_app.fleet.forward.forwarder import FleetForwarder
from hub_app.hub import Hub


def create(config: Config, hub: Hub) -> FleetForwarder:
    """Return the forwarder, fed with the changes of the live state of `hub`. On the event loop."""
    loop = asyncio.get_running_loop()

    def put_all(done: Callable[[list[str]], None]) -> None:
        entries = hub.state.snapshot(hub.now_ms(), 0).entries
        forwarder.entries.put(entries)
        done([entry.topic for entry in entries])

    def request(done: Callable[[list[str]], None]) -> None:
        """Cross from the forwarder's thread to the event loop."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(put_all, done)

    forwarder = FleetForwarder(
        config.fleet,
        hub.history.path,
        supervisor=hub.supervisor,
        request_entries=request,
        rules=lambda: hub.alarms.book.every,
    )
    hub.listeners.append(forwarder.entries.put)
    hub.fleet_status = lambda: forwarder.status
    return forwarder


@contextlib.asynccontextmanager
async def running(forwarder: FleetForwarder) -> AsyncIterator[None]:
    """Forward until the context ends. Stopping waits for the thread, so it happens off the loop."""
    forwarder.start()
    try:
        yield
    finally:
        await asyncio.to_thread(forwarder.stop)
