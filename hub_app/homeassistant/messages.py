"""Retained messages of discovery, in one of its two forms. Pure.

The form `single` has a message for each entity, which every version of Home Assistant takes. The
form `device` (2024.12 and later) has one for each group: a node, a sensor or a plugin.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from bus.contract.discovery import DiscoveryTopic
from hub_app.homeassistant import ids
from hub_app.homeassistant.entities.entity import Entity, node_device, sensor_device
from hub_app.homeassistant.entities.node import of_node
from hub_app.homeassistant.entities.plugins import of_plugin
from hub_app.homeassistant.entities.sensors import of_sensor
from hub_app.homeassistant.facts import NodeFacts, PluginFacts, SensorFacts
from hub_app.homeassistant.site import Site

Messages = dict[DiscoveryTopic, bytes]
_ENCODER = msgspec.json.Encoder()


def node_messages(site: Site, node: NodeFacts) -> Messages:
    """Return the messages of a node's own entities."""
    return _messages(site, ids.device_id(node.node), node_device(site, node), of_node(site, node))


def sensor_messages(site: Site, node: NodeFacts, sensor: SensorFacts) -> Messages:
    group = ids.device_id(node.node, sensor.id)
    device = sensor_device(site, node, sensor)
    return _messages(site, group, device, of_sensor(site, node, sensor))


def plugin_messages(site: Site, node: NodeFacts, plugin: PluginFacts) -> Messages:
    group = ids.thing_id(node.node, "plugin", plugin.name)
    return _messages(site, group, node_device(site, node), of_plugin(site, node, plugin))


def _messages(
    site: Site, group: str, device: dict[str, Any], entities: Iterable[Entity]
) -> Messages:
    common = {"device": device, "origin": site.origin}
    if site.form == "single":
        return {
            site.topic(one.component, one.id): _ENCODER.encode(one.config | common)
            for one in entities
        }
    components = {one.id: {"platform": one.component, **one.config} for one in entities}
    return {site.topic("device", group): _ENCODER.encode(common | {"components": components})}
