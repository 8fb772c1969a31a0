"""Entities of a node: its presence, its start, its outputs and its alarms. Pure."""

from collections.abc import Iterator

from bus.contract.topics import TopicKind
from hub_app.homeassistant import ids, templates
from hub_app.homeassistant.entities.entity import DIAGNOSTIC, Entity, entity, topic
from hub_app.homeassistant.entities.outputs import of_outputs
from hub_app.homeassistant.entities.problems import alarm
from hub_app.homeassistant.facts import NodeFacts
from hub_app.homeassistant.site import Site


def of_node(site: Site, node: NodeFacts) -> Iterator[Entity]:
    """Yield every entity of a node that is of no sensor and no plugin."""
    yield _presence(site, node)
    yield _start(site, node)
    yield from of_outputs(site, node)
    for facts in node.alarms:
        yield alarm(site, node, facts)


def _presence(site: Site, node: NodeFacts) -> Entity:
    state = templates.value_of("state")
    return entity(
        "binary_sensor",
        ids.thing_id(node.node, "online"),
        "Online",
        state_topic=topic(node.node, TopicKind.STATUS),
        value_template=f"{state}{{{{ 'online' if v == 'online' else 'offline' }}}}",
        payload_on="online",
        payload_off="offline",
        device_class="connectivity",
        **DIAGNOSTIC,
        **site.available(),
    )


def _start(site: Site, node: NodeFacts) -> Entity:
    since = templates.value_of("since_ms")
    return entity(
        "sensor",
        ids.thing_id(node.node, "started"),
        "Started",
        state_topic=topic(node.node, TopicKind.STATUS),
        # A removed node has no status for a moment, and a text that is no time is a warning.
        value_template=f"{since}{{{{ ((v // 1000) | as_datetime) if v is number else now() }}}}",
        device_class="timestamp",
        **DIAGNOSTIC,
        **site.available(node.node),
    )
