"""Setup of discovery on the hub's broker: from the configuration to the running task."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from bus.config.settings import Config
from bus.contract.description import About
from hub_app.bus_link.bus_feed import BusFeed
from hub_app.homeassistant.publisher import Publisher
from hub_app.homeassistant.site import Site
from hub_app.hub import Hub


@contextlib.asynccontextmanager
async def running(config: Config, hub: Hub, feed: BusFeed) -> AsyncIterator[Publisher]:
    """Publish discovery; enter it before the feed starts, so that nothing is missed.

    Where it is switched off, what was published before is removed.
    """
    settings = config.homeassistant
    publisher = Publisher(
        site_of(config),
        hub.state,
        hub.alarms.book,
        publish=feed.link.publish_wire,
        page_url=lambda about: page_url(config, about),
        is_on=settings.discovery,
        is_sole=config.embeds_broker,
    )
    hub.listeners.append(publisher.on_changes)
    feed.intake.on_others = publisher.on_messages
    feed.intake.on_connect = publisher.on_connect
    task = asyncio.create_task(hub.supervisor.run("discovery", lambda: publisher.run(hub.now_ms)))
    try:
        yield publisher
    finally:
        task.cancel()


def site_of(config: Config) -> Site:
    settings = config.homeassistant
    return Site(
        config.cluster.node_id, form=settings.form, prefix=settings.prefix, nodes=settings.nodes
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
