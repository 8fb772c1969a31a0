"""Setup of discovery on the hub's broker: from the configuration to the running task."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial

import msgspec

from bus.client.link import WireMessage
from bus.config.settings import Config
from bus.contract.description import About
from hub_app.bus_link.bus_feed import BusFeed
from hub_app.homeassistant.forward.forwarder import Forwarder
from hub_app.homeassistant.forward.loop_guard import state_topic
from hub_app.homeassistant.publisher import Publisher, PublishWire
from hub_app.homeassistant.site import Availability, Site
from hub_app.hub import Hub


@contextlib.asynccontextmanager
async def running(
    config: Config, hub: Hub, feed: BusFeed, forwarder: Forwarder | None
) -> AsyncIterator[None]:
    """Publish discovery; enter it before the feed starts, so that nothing is missed.

    It goes to the hub's broker, or with a forwarder to that of Home Assistant alone. Where it is
    switched off or elsewhere, what was published before is removed.
    """
    is_here = config.homeassistant.discovery and forwarder is None
    here = _publisher(config, hub, feed.link.publish_wire, is_on=is_here)
    feed.intake.on_others = here.on_messages
    feed.intake.on_connect = here.on_connect
    publishers = {"discovery": here}
    if config.homeassistant.discovery and forwarder is not None:
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
    """Return the publisher for the forwarder, which publishes again when it connects."""

    def publish(message: WireMessage) -> int:
        forwarder.put_retained(message.topic, message.payload)
        return 0

    topic = state_topic(config.cluster.node_id)
    return _publisher(config, hub, publish, is_on=True, availability=(Availability(topic),))


def _publisher(
    config: Config,
    hub: Hub,
    publish: PublishWire,
    *,
    is_on: bool,
    availability: tuple[Availability, ...] = (),
) -> Publisher:
    return Publisher(
        msgspec.structs.replace(site_of(config), availability=availability),
        hub.state,
        hub.alarms.book,
        publish=publish,
        page_url=lambda about: page_url(config, about),
        is_on=is_on,
        is_sole=config.embeds_broker,
    )


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
