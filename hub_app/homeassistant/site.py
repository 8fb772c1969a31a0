"""Site: what the entities of all nodes have in common, and the form in which they are published."""

import fnmatch
from typing import Any, Literal

import msgspec

from bus.config.homeassistant_table import DEFAULT_PREFIX, Form
from bus.contract.discovery import DiscoveryTopic
from bus.contract.topics import Topic, TopicKind
from bus.install.version import VERSION
from hub_app.homeassistant import templates

MAKER = "HARVESTER"


class Availability(msgspec.Struct, frozen=True):
    """A topic without which no entity is available, of a forwarder for example."""

    topic: str
    online: str = "online"
    offline: str = "offline"


class Site(msgspec.Struct, frozen=True):
    """Settings of discovery. `own_node` is the hub's; `nodes` are patterns of the published ones.

    `has_own_node`: the hub's own node is known, so that other devices may refer to it. `worker` is
    the name of the hub's worker, where it has several.
    """

    own_node: str
    form: Form = "single"
    prefix: str = DEFAULT_PREFIX
    nodes: tuple[str, ...] = ("*",)
    availability: tuple[Availability, ...] = ()
    configuration_url: str = ""
    has_own_node: bool = False
    worker: str = ""

    @property
    def origin(self) -> dict[str, str]:
        """The publisher of a message. Its name tells the hubs that share a broker apart."""
        name = f"{MAKER} ({self.worker or self.own_node})"
        return {"name": name, "sw_version": VERSION}

    def publishes(self, node: str) -> bool:
        return any(fnmatch.fnmatchcase(node, pattern) for pattern in self.nodes)

    def topic(
        self, component: str, object_id: str, leaf: Literal["config", "state"] = "config"
    ) -> DiscoveryTopic:
        return DiscoveryTopic(self.prefix, component, object_id, leaf)

    def available(self, node: str = "") -> dict[str, Any]:
        """Return the keys of availability; of a `node`, that it is online, too."""
        # With both payloads: Home Assistant 2025.4 has failed on its own defaults now and then.
        found = [
            {
                "topic": one.topic,
                "payload_available": one.online,
                "payload_not_available": one.offline,
            }
            for one in self.availability
        ]
        if node:
            status = {"topic": str(Topic(node, TopicKind.STATUS)), "value_template": _STATE}
            payloads = {"payload_available": "online", "payload_not_available": "offline"}
            found.insert(0, status | payloads)
        return {"availability": found, "availability_mode": "all"} if found else {}


# The status is emptied when a node is removed.
_STATE = f"{templates.value_of('state')}{{{{ 'online' if v == 'online' else 'offline' }}}}"
