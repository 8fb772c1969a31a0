"""Look-up in the hub's state for the parts of the page."""

import json
from typing import Any, NamedTuple

from dashboard.formats import Formats

# The more urgent, the later.
SEVERITIES = ("info", "warning", "critical")
_PLUGIN_ACTIONS = ("reload", "enable", "disable", "set")


class Entry(NamedTuple):
    """The newest value of one topic."""

    topic: str
    kind: str
    node: str
    name: str
    value: dict[str, Any]


class Model:
    """The hub's state at one moment, decoded from JSON."""

    def __init__(self, text: str) -> None:
        state = json.loads(text)
        self.now_ms: int = state["now_ms"]
        self.version: str = state["version"]
        # None where nobody has to log in; everyone may give commands then.
        self.role: str | None = state.get("role")
        # Whether the hub has more than fits on a page.
        self.is_partial = bool(state.get("is_partial"))
        # Whether the page has outputs, plugins and logs: those of many nodes are elsewhere.
        self.has_panels = bool(state.get("has_panels", True))
        # The prefix of the page's URLs.
        self.root_path: str = state.get("root_path", "")
        # Whether commands are left to another page.
        self.is_read_only = bool(state.get("is_read_only"))
        # Path and label of each view in the header; none where they are those of a hub.
        self.links: list[tuple[str, str]] = [tuple(link) for link in state.get("links", ())]
        self.cards: list[dict[str, Any]] = state["cards"]
        self.entries = [Entry(**entry) for entry in state["entries"]]
        self.logs = [Entry(**line) for line in state["logs"]]
        # Descriptions of fields, by the key that the description of a sensor has.
        self._fields: dict[str, dict[str, Any]] = state.get("fields", {})
        self._by_key = {(entry.kind, entry.node, entry.name): entry for entry in self.entries}
        self.readings = {
            entry.value["sensor_id"]: entry for entry in self.entries if entry.kind == "reading"
        }
        self.formats = Formats()
        self._severities = _severities(self.of_kind("alarm"))

    @property
    def may_command(self) -> bool:
        return self.role != "viewer" and not self.is_read_only

    def find(self, kind: str, node: str, name: str = "") -> Entry | None:
        return self._by_key.get((kind, node, name))

    def of_kind(self, kind: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind == kind]

    def description(self, kind: str, node: str, name: str = "") -> dict[str, Any]:
        """Return what a node says of itself or of a sensor; nothing where it says nothing."""
        entry = self.find(kind, node, name)
        return entry.value if entry else {}

    def fields(self, node: str, sensor: str) -> dict[str, Any]:
        """Return the described fields of a sensor; none where there is no description."""
        described = self.description("sensor", node, sensor)
        fields: dict[str, Any] = self._fields.get(described.get("fields", ""), {})
        return fields

    def title(self, kind: str, node: str, name: str = "") -> str:
        """Return what people call a sensor or a node, empty where it has no title."""
        return str(self.description(kind, node, name).get("title", ""))

    def area(self, kind: str, node: str, name: str = "") -> str:
        return str(self.description(kind, node, name).get("area", ""))

    def plugin_actions(self, node: str) -> list[str]:
        """Return the commands that a node takes for its plugins; all where it does not say."""
        about = self.find("about", node)
        return list(about.value["plugin_actions"]) if about else list(_PLUGIN_ACTIONS)

    def severity(self, node: str, sensor: str) -> str:
        """Return the highest severity of a sensor's alarms, empty without any."""
        return self._severities.get((node, sensor), "")

    def digest(self, kind: str, node: str, name: str = "") -> str:
        """Return the digest of a description, empty where there is none."""
        return str(self.description(kind, node, name).get("digest", ""))

    def nodes(self) -> list[str]:
        """Return every node: first those of the configured cards, in their order."""
        named = [card["node"] for card in self.cards if card["node"]]
        return list(dict.fromkeys([*named, *(e.node for e in self.entries + self.logs)]))

    def presence(self, node: str) -> str:
        status = self.find("status", node)
        return str(status.value["presence"]) if status else "unknown"

    def refused(self, node: str) -> dict[str, int]:
        """Return how many messages of a node the hub refused, by reason."""
        status = self.find("status", node)
        counts: dict[str, int] = status.value.get("refused", {}) if status else {}
        return counts

    def is_stale(self, reading: Entry) -> bool:
        value = reading.value
        return bool(self.now_ms - value["at_ms"] > value["stale_after_ms"])


def _severities(alarms: list[Entry]) -> dict[tuple[str, str], str]:
    """Return the highest severity by node and sensor."""
    by_urgency = sorted(alarms, key=lambda alarm: SEVERITIES.index(alarm.value["severity"]))
    return {(alarm.node, alarm.value["sensor"]): alarm.value["severity"] for alarm in by_urgency}
