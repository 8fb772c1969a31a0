"""Entity: the configuration of one entity, and the device that it belongs to."""

from typing import Any

import msgspec

from bus.contract.discovery import DiscoveryTopic
from bus.contract.topics import Topic, TopicKind
from hub_app.homeassistant import ids
from hub_app.homeassistant.facts import NodeFacts, SensorFacts
from hub_app.homeassistant.site import MAKER, Site

# Commands arrive once where the connection holds, and are never retained.
COMMAND = {"qos": 1, "retain": False}
DIAGNOSTIC = {"entity_category": "diagnostic"}
SETTING = {"entity_category": "config"}


class Entity(msgspec.Struct, frozen=True):
    """One entity; `config` is without the keys of its device and its origin."""

    component: str
    id: str
    config: dict[str, Any]


def entity(component: str, entity_id: str, name: str, **config: Any) -> Entity:
    """Return an entity; keys that are None are left out."""
    told = {key: value for key, value in config.items() if value is not None}
    return Entity(component, entity_id, {"name": name, "unique_id": entity_id, **told})


def topic(node: str, kind: TopicKind, name: str = "") -> str:
    return str(Topic(node, kind, name))


def command_topic(node: str, actuator: str) -> str:
    return topic(node, TopicKind.COMMAND, actuator)


def problems_topic(site: Site, node: str) -> DiscoveryTopic:
    """Return the topic of a node's faults and active alarms."""
    return site.topic("binary_sensor", ids.device_id(node), "state")


def picture_topic(site: Site, node: str) -> DiscoveryTopic:
    """Return the topic of what a node's display shows, as base64 of a PNG."""
    return site.topic("image", ids.device_id(node), "state")


def node_device(site: Site, facts: NodeFacts) -> dict[str, Any]:
    """Return the device of a node."""
    status, about = facts.status, facts.about
    return _device(
        site,
        ids.device_id(facts.node),
        name=facts.title,
        model=(about.model if about else "") or (status.role if status else "node"),
        sw_version=status.version if status else "",
        suggested_area=facts.area,
        via="" if facts.node == site.own_node else site.own_node,
    )


def sensor_device(site: Site, node: NodeFacts, sensor: SensorFacts) -> dict[str, Any]:
    """Return the device of a sensor: its node's, or one of its own where its area is another."""
    if not has_own_device(node, sensor):
        return node_device(site, node)
    return _device(
        site,
        ids.device_id(node.node, sensor.id),
        name=f"{node.title} {sensor_title(node, sensor)}",
        model=sensor.described.plugin or "sensor",
        sw_version="",
        suggested_area=sensor.described.area,
        via=node.node,
    )


def has_own_device(node: NodeFacts, sensor: SensorFacts) -> bool:
    return bool(sensor.described.area) and sensor.described.area != node.area


def sensor_title(node: NodeFacts, sensor: SensorFacts) -> str:
    """Return the title of a sensor; else its id, without the node's where it begins with that."""
    return sensor.described.title or sensor.id.removeprefix(f"{node.node}-")


def _device(  # noqa: PLR0913 - the parts of a device
    site: Site,
    device_id: str,
    *,
    name: str,
    model: str,
    sw_version: str,
    suggested_area: str,
    via: str,
) -> dict[str, Any]:
    knows_via = via and (via != site.own_node or site.has_own_node)
    said = {
        "identifiers": [device_id],
        "name": name,
        "manufacturer": MAKER,
        "model": model,
        "sw_version": sw_version,
        "suggested_area": suggested_area,
        "configuration_url": site.configuration_url,
        "via_device": ids.device_id(via) if knows_via else "",
    }
    return {key: value for key, value in said.items() if value}
