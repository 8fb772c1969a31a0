"""What explains a gap in the history: presence, plugins, and readings that were given up.

Pure: messages and the hub's time in, events out. It knows no database.
"""

from bus.contract.messages import Heartbeat, Message, PluginState
from bus.contract.topics import Topic
from hub_app.history.writer import Event
from hub_app.live.presence import NodeWatch

PRESENCE = "presence"
PLUGIN = "plugin"
DROPPED = "dropped"
REFUSED = "refused"
HUB = "hub"

MAX_NODES = 200
_MAX_DETAIL_CHARS = 300


class Chronicle:
    """Turns what is heard of the nodes into events, one for each change."""

    def __init__(self) -> None:
        self._watches: dict[str, NodeWatch] = {}
        self._plugins: dict[Topic, str] = {}
        self._dropped: dict[str, int] = {}

    def hear(self, topic: Topic, message: Message, now_ms: int) -> list[Event]:
        """Return what `message` changes for its node."""
        watch = self._watches.get(topic.node)
        if watch is None:
            if len(self._watches) >= MAX_NODES:
                return []
            watch = self._watches[topic.node] = NodeWatch()
        watch.hear(message, now_ms)
        events = self._presence(topic.node, watch, now_ms)
        if isinstance(message, PluginState):
            events += self._plugin(topic, message, now_ms)
        elif isinstance(message, Heartbeat):
            events += self._drops(topic.node, message.dropped, now_ms)
        return events

    def sweep(self, now_ms: int) -> list[Event]:
        """Return the nodes that fell silent since the last call."""
        return [
            event
            for node, watch in self._watches.items()
            for event in self._presence(node, watch, now_ms)
        ]

    @staticmethod
    def _presence(node: str, watch: NodeWatch, now_ms: int) -> list[Event]:
        return [Event(node, now_ms, PRESENCE, "", watch.presence)] if watch.update(now_ms) else []

    def _plugin(self, topic: Topic, state: PluginState, now_ms: int) -> list[Event]:
        if self._plugins.get(topic) == state.state:
            return []
        self._plugins[topic] = state.state
        detail = f"{state.state}: {state.error}" if state.error else state.state
        return [Event(topic.node, now_ms, PLUGIN, topic.name, detail[:_MAX_DETAIL_CHARS])]

    def _drops(self, node: str, dropped: int, now_ms: int) -> list[Event]:
        known = self._dropped.get(node)
        self._dropped[node] = dropped
        if known is None or dropped <= known:
            return []
        return [Event(node, now_ms, DROPPED, "", str(dropped - known))]
