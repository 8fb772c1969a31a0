"""Events that explain gaps in the history: changes of presence and of plugins, dropped readings.

Pure: takes messages and the hub's time, returns events. It knows no database.
"""

import msgspec

from bus.contract.messages import Heartbeat, Message, PluginState
from bus.contract.topics import Topic
from hub_app.live.presence import NodePresence

PRESENCE = "presence"
PLUGIN = "plugin"
DROPPED = "dropped"
REFUSED = "refused"
HUB = "hub"

MAX_NODES = 200
MAX_DETAIL_CHARS = 300


class Event(msgspec.Struct, frozen=True):
    """An event of a node; `kind` is one of the constants of this module."""

    node: str
    at_ms: int
    kind: str
    # The plugin's name, where the event is one of a plugin.
    subject: str = ""
    detail: str = ""


class EventDetector:
    """Compares each message with what is known of its node, and returns an event per change."""

    def __init__(self) -> None:
        self._presences: dict[str, NodePresence] = {}
        self._plugins: dict[Topic, str] = {}
        self._dropped: dict[str, int] = {}

    def on_message(self, topic: Topic, message: Message, now_ms: int) -> list[Event]:
        """Return the changes that `message` brings for its node."""
        presence = self._presences.get(topic.node)
        if presence is None:
            if len(self._presences) >= MAX_NODES:
                return []
            presence = self._presences[topic.node] = NodePresence()
        presence.on_message(message, now_ms)
        events = self._presence_events(topic.node, presence, now_ms)
        if isinstance(message, PluginState):
            events += self._plugin_events(topic, message, now_ms)
        elif isinstance(message, Heartbeat):
            events += self._drop_events(topic.node, message.dropped, now_ms)
        return events

    def sweep(self, now_ms: int) -> list[Event]:
        """Return an event for each node that fell silent since the last call."""
        return [
            event
            for node, presence in self._presences.items()
            for event in self._presence_events(node, presence, now_ms)
        ]

    @staticmethod
    def _presence_events(node: str, presence: NodePresence, now_ms: int) -> list[Event]:
        if not presence.update(now_ms):
            return []
        return [Event(node, now_ms, PRESENCE, "", presence.presence)]

    def _plugin_events(self, topic: Topic, state: PluginState, now_ms: int) -> list[Event]:
        if self._plugins.get(topic) == state.state:
            return []
        self._plugins[topic] = state.state
        detail = f"{state.state}: {state.error}" if state.error else state.state
        return [Event(topic.node, now_ms, PLUGIN, topic.name, detail[:MAX_DETAIL_CHARS])]

    def _drop_events(self, node: str, dropped: int, now_ms: int) -> list[Event]:
        known = self._dropped.get(node)
        self._dropped[node] = dropped
        if known is None or dropped <= known:
            return []
        return [Event(node, now_ms, DROPPED, "", str(dropped - known))]
