"""Set-up of the forwarder in the hub: made where it is configured, run while the hub runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from hub_app.homeassistant.forward.forwarder import Forwarder
from hub_app.homeassistant.forward.topics_file import FILE_NAME
from hub_app.hub import Hub


def create(config: Config, hub: Hub, files: HubFiles) -> Forwarder | None:
    """Return the forwarder, fed with the good messages of `hub`; None where none is configured.

    Raises MisconfiguredError where its credentials or its CA cannot be used.
    """
    if not config.homeassistant.broker:
        return None
    forwarder = Forwarder(
        config.homeassistant,
        config.cluster.node_id,
        hub.bus.publish_payload,
        is_bus_up=lambda: hub.bus.connected,
        supervisor=hub.supervisor,
        state_file=files.state_dir / FILE_NAME,
    )
    hub.handle = forwarder.before(hub.handle)
    hub.decoder.on_payload = forwarder.put
    hub.forwarder_status = lambda: forwarder.status
    return forwarder


@contextlib.asynccontextmanager
async def running(forwarder: Forwarder | None) -> AsyncIterator[None]:
    """Forward until the context ends. Stopping waits for threads, so it happens off the loop."""
    if forwarder is None:
        yield
        return
    forwarder.start()
    try:
        yield
    finally:
        await asyncio.to_thread(forwarder.stop)
