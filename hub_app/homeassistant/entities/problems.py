"""Entities of faults and alarms: a binary sensor for each alarm that may become active. Pure.

The hub publishes the faults and the active alarms of each node on a topic of Home Assistant's: an
alarm's own topic is empty while it is not active, which would leave its state unknown.
"""

from typing import Literal

from hub_app.homeassistant import ids, templates
from hub_app.homeassistant.entities.entity import DIAGNOSTIC, Entity, entity, problems_topic
from hub_app.homeassistant.facts import AlarmFacts, NodeFacts
from hub_app.homeassistant.site import Site


def alarm(site: Site, node: NodeFacts, facts: AlarmFacts) -> Entity:
    """Return an alarm, which is there while its node is away, too."""
    return entity(
        "binary_sensor",
        ids.thing_id(node.node, "alarm", facts.name),
        facts.title,
        **problem(site, node.node, "alarms", facts.name),
        **DIAGNOSTIC,
        **site.available(),
    )


def problem(site: Site, node: str, kind: Literal["faults", "alarms"], name: str) -> dict[str, str]:
    """Return class, state and attributes of one of a node's faults or alarms."""
    found = templates.value_of(kind, name)
    topic = str(problems_topic(site, node))
    return {
        "device_class": "problem",
        "state_topic": topic,
        "value_template": f"{found}{{{{ 'ON' if v is mapping else 'OFF' }}}}",
        "json_attributes_topic": topic,
        "json_attributes_template": f"{found}{{{{ (v if v is mapping else {{}}) | tojson }}}}",
    }
