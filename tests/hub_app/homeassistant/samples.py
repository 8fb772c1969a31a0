"""Nodes with sensors and plugins as discovery sees them."""

from typing import Any

import msgspec

from bus.contract import commands
from bus.contract.description import About, SensorDescription, SettingDescription
from bus.contract.discovery import DiscoveryTopic
from bus.contract.messages import PluginState, Status
from hub_app.homeassistant.facts import NodeFacts, PluginFacts, SensorFacts, ValueKind
from hub_app.homeassistant.site import Site
from tests.default_descriptions import description_of

SITE = Site("revpi", configuration_url="http://192.168.7.10:3000/", has_own_node=True)
ACTUATORS = {name: list(words) for name, words in commands.WORDS.items()}
ONLINE = Status("online", "spoke", "0.1.0", "b", 1_700_000_000_000)


def about(title: str = "", area: str = "", actuators: dict[str, list[str]] | None = None) -> About:
    has = ACTUATORS if actuators is None else actuators
    return About(title, area, "Raspberry Pi 4", "Debian", "aarch64", "192.168.7.11", {}, has)


def node(name: str = "pi4", **facts: Any) -> NodeFacts:
    return NodeFacts(name, **{"status": ONLINE, "about": about(), **facts})


def sensor(sensor_id: str, title: str = "", area: str = "", **facts: Any) -> SensorFacts:
    """Return a sensor of the shipped configuration, of which every value has come."""
    described = description_of(sensor_id, title, area)
    if sensor_id.startswith("ping"):
        described = msgspec.structs.replace(described, plugin="", interval_s=10.0)
    kinds = {field: _kind(field) for field in described.fields}
    return SensorFacts(sensor_id, described, **{"kinds": kinds, **facts})


def described(fields: dict[str, Any], **keys: Any) -> SensorDescription:
    return msgspec.convert(
        {"plugin": "p", "title": "", "area": "", "interval_s": 2.0, "fields": fields, **keys},
        SensorDescription,
    )


def plugin(
    name: str = "dht22", settings: dict[str, Any] | None = None, **state: Any
) -> PluginFacts:
    said = msgspec.convert(settings or {}, dict[str, SettingDescription])
    return PluginFacts(name, PluginState("running", "", 1, 0, described=said, **state))


def decoded(messages: dict[DiscoveryTopic, bytes]) -> dict[str, dict[str, Any]]:
    """Return the messages by topic, as Home Assistant reads them."""
    return {str(topic): msgspec.json.decode(payload) for topic, payload in messages.items()}


def _kind(field: str) -> ValueKind:
    return "flag" if field == "up" else "text" if field == "host" else "number"
