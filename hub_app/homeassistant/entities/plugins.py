"""Entities of a plugin: a switch, its state, its version, its settings and its alarms. Pure."""

from collections.abc import Iterator
from typing import get_args

from bus.contract.messages import PluginPhase
from bus.contract.topics import TopicKind
from hub_app.homeassistant import ids, templates
from hub_app.homeassistant.entities.entity import (
    COMMAND,
    DIAGNOSTIC,
    SETTING,
    Entity,
    command_topic,
    entity,
    topic,
)
from hub_app.homeassistant.entities.problems import alarm
from hub_app.homeassistant.entities.settings import of_settings
from hub_app.homeassistant.facts import NodeFacts, PluginFacts
from hub_app.homeassistant.site import Site

_PHASES = get_args(PluginPhase)


def of_plugin(site: Site, node: NodeFacts, plugin: PluginFacts) -> Iterator[Entity]:
    """Yield every entity of a plugin."""
    commands = node.commands_of("plugins")
    yield _state(site, node, plugin)
    if {"enable", "disable"} <= set(commands):
        yield _switch(site, node, plugin)
    if plugin.latest:
        yield _update(site, node, plugin)
    if "set" in commands:
        yield from of_settings(site, node, plugin)
    for facts in plugin.alarms:
        yield alarm(site, node, facts)


def _state(site: Site, node: NodeFacts, plugin: PluginFacts) -> Entity:
    state_topic = topic(node.node, TopicKind.PLUGIN, plugin.name)
    attributes = (
        "{% set s = value_json if value_json is mapping else {} %}"
        "{{ {'error': s.get('error', ''), 'restarts': s.get('restarts', 0)} | tojson }}"
    )
    return entity(
        "sensor",
        ids.thing_id(node.node, "plugin-state", plugin.name),
        f"Plugin {plugin.name} state",
        state_topic=state_topic,
        value_template=templates.one_of(("state",), _PHASES),
        device_class="enum",
        options=[*_PHASES, templates.UNKNOWN],
        json_attributes_topic=state_topic,
        json_attributes_template=attributes,
        **DIAGNOSTIC,
        **site.available(node.node),
    )


def _switch(site: Site, node: NodeFacts, plugin: PluginFacts) -> Entity:
    state = templates.value_of("state")
    return entity(
        "switch",
        ids.thing_id(node.node, "plugin", plugin.name),
        f"Plugin {plugin.name}",
        state_topic=topic(node.node, TopicKind.PLUGIN, plugin.name),
        value_template=(
            f"{state}{{{{ None if v is none else 'OFF' if v == 'disabled' else 'ON' }}}}"
        ),
        state_on="ON",
        state_off="OFF",
        command_topic=command_topic(node.node, "plugins"),
        payload_on=f'{{"plugin": "{plugin.name}", "action": "enable"}}',
        payload_off=f'{{"plugin": "{plugin.name}", "action": "disable"}}',
        icon="mdi:puzzle",
        **COMMAND,
        **SETTING,
        **site.available(node.node),
    )


def _update(site: Site, node: NodeFacts, plugin: PluginFacts) -> Entity:
    installed = templates.value_of("version")
    versions = f"{{'installed_version': v, 'latest_version': {templates.literal(plugin.latest)}}}"
    return entity(
        "update",
        ids.thing_id(node.node, "plugin-version", plugin.name),
        f"Plugin {plugin.name} version",
        state_topic=topic(node.node, TopicKind.PLUGIN, plugin.name),
        value_template=(
            f"{installed}{{% if v is string and v %}}{{{{ {versions} | tojson }}}}{{% endif %}}"
        ),
        title=plugin.name,
        **DIAGNOSTIC,
        **site.available(node.node),
    )
