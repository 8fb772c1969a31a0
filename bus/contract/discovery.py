"""Topics of Home Assistant's MQTT discovery, below a prefix of its own.

`<prefix>/<component>/<id>/config` holds an entity or a device, `<prefix>/<component>/<id>/state` a
state that only the hub knows; both are retained, at QoS 1. Home Assistant publishes its birth on
`<prefix>/status`.
"""

from typing import Literal

import msgspec

# Begins the id of every topic of ours.
OWN = "harvester_"
BIRTH = b"online"

Leaf = Literal["config", "state"]


class DiscoveryTopic(msgspec.Struct, frozen=True, order=True):
    """One topic; `object_id` has letters, digits, hyphens and underscores only."""

    prefix: str
    component: str
    object_id: str
    leaf: Leaf = "config"

    def __str__(self) -> str:
        return f"{self.prefix}/{self.component}/{self.object_id}/{self.leaf}"


def parse(text: str, prefix: str) -> DiscoveryTopic | None:
    """Return the topic that `text` spells; None where it is none of ours below `prefix`."""
    if not text.startswith(f"{prefix}/"):
        return None
    levels = text[len(prefix) + 1 :].split("/")
    if len(levels) != 3 or not levels[1].startswith(OWN):
        return None
    component, object_id, leaf = levels
    if leaf == "config":
        return DiscoveryTopic(prefix, component, object_id)
    return DiscoveryTopic(prefix, component, object_id, "state") if leaf == "state" else None


def birth_topic(prefix: str) -> str:
    return f"{prefix}/status"


def concerns_hub(text: str, prefix: str) -> bool:
    """Whether a topic below `prefix` is one of ours or the birth: other products have theirs."""
    return text == birth_topic(prefix) or parse(text, prefix) is not None


def filters(prefix: str) -> tuple[str, ...]:
    """Return the topic filters of everything that the publisher of discovery hears."""
    return birth_topic(prefix), f"{prefix}/+/+/config", f"{prefix}/+/+/state"
