"""Setup of discovery on the hub's broker: from the configuration to the running task."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial

import msgspec

from bus.client.link import MessageBatches
from bus.config.settings import Config
from bus.contract.description import About
from hub_app.bus_link import worker
from hub_app.bus_link.bus_feed import BusFeed
from hub_app.homeassistant.forward.forwarder import Forwarder
from hub_app.homeassistant.publisher import Publisher
from hub_app.homeassistant.site import Availability, Site
from hub_app.hub import Hub


@contextlib.asynccontextmanager
async def running(
    config: Config, hub: Hub, feed: BusFeed, forwarder: Forwarder | None
) -> AsyncIterator[None]:
    """Publish discovery; enter it before the feed starts, so that nothing is missed.

    It goes to the hub's broker, or with a forwarder to that of Home Assistant, and with
    `discovery_here` to both. Where it is switched off, what was published before is removed.
    """
    settings = config.homeassistant
    is_here = settings.discovery and (forwarder is None or settings.discovery_here)
    here = Publisher(
        site_of(config),
        hub.state,
        hub.alarms.book,
        publish=feed.link.publish_wire,
        page_url=partial(page_url, config),
        is_on=is_here,
        is_sole=config.embeds_broker,
    )
    feed.intake.on_others = here.on_messages
    feed.intake.on_connect = here.on_connect
    publishers = {"discovery": here}
    if settings.discovery and forwarder is not None:
        publishers["discovery, forwarded"] = _forwarding(config, hub, forwarder)
    tasks = [
        asyncio.create_task(hub.supervisor.run(name, partial(publisher.run, hub.now_ms)))
        for name, publisher in publishers.items()
    ]
    hub.listeners += [publisher.on_changes for publisher in publishers.values()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


def _forwarding(config: Config, hub: Hub, forwarder: Forwarder) -> Publisher:
    """Return the publisher for the broker of Home Assistant."""
    site = msgspec.structs.replace(
        site_of(config), availability=(Availability(forwarder.availability_topic),)
    )
    publisher = Publisher(
        site,
        hub.state,
        hub.alarms.book,
        publish=forwarder.publish_wire,
        page_url=partial(page_url, config),
    )
    loop = asyncio.get_running_loop()
    # The crossing from the client's thread to the event loop.
    batches = MessageBatches(loop, publisher.on_messages)

    def on_connect() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(publisher.on_connect)

    forwarder.hear_discovery(batches.put, on_connect)
    return publisher


def site_of(config: Config) -> Site:
    settings = config.homeassistant
    own = worker.of(config)
    return Site(
        config.cluster.node_id,
        form=settings.form,
        prefix=settings.prefix,
        nodes=settings.nodes,
        worker="" if own is None else own.name,
    )


def page_url(config: Config, about: About | None) -> str:
    """Return the address of the page: as configured, or where the hub's own node says it is."""
    if config.notify.page_url.startswith(("http://", "https://")):
        return config.notify.page_url
    address = about.address if about is not None else ""
    if not address:
        return ""
    host = f"[{address}]" if ":" in address else address
    scheme = "https" if config.web.tls else "http"
    return f"{scheme}://{host}:{config.web.port}{config.web.root_path}/"
