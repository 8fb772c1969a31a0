"""Events that explain gaps in the history: changes of presence and of plugins, dropped readings.

Pure: takes messages and the hub's time, returns events. It knows no database.
"""

import msgspec

from bus.config.limits_table import LimitsConfig
from bus.contract.messages import Heartbeat, Message, PluginState
from bus.contract.topics import Topic
from hub_app.live.presence import NodePresence

# `subject` is the run of the node's program, and for `online` its start in Unix milliseconds, too:
# `8b9eeb80352c3875 1795286721000`. `detail` is the presence. One that is lost is so from its last
# heartbeat: where that is when it came online, only its retained status was heard.
PRESENCE = "presence"
PLUGIN = "plugin"
DROPPED = "dropped"
REFUSED = "refused"
HUB = "hub"
# The hub was restored then, from a backup made at the Unix milliseconds in `detail`.
RESTORED = "restored"

MAX_DETAIL_CHARS = 300
_MAX_BOOT_ID_CHARS = 64
# A plugin's state that began earlier is dated by its arrival: the node's clock may be wrong.
_MAX_SILENCE_MS = 7 * 86_400_000


class Event(msgspec.Struct, frozen=True):
    """An event of a node; `kind` is one of the constants of this module."""

    node: str
    at_ms: int
    kind: str
    # The plugin's name, where the event is one of a plugin.
    subject: str = ""
    detail: str = ""


class _Node:
    """The last known presence, plugin states and counters of one node."""

    def __init__(self, now_ms: int) -> None:
        self.presence = NodePresence(now_ms)
        # Whether the last event of presence was `online`, the run that it named, and its time.
        self.is_online = False
        self.boot_id = ""
        self.online_ms = 0
        self.beat_ms = 0
        # The last heartbeat before it came online.
        self.silent_ms = 0
        # By the topic of the plugin.
        self.plugins: dict[Topic, PluginState] = {}
        self.dropped: int | None = None


class EventDetector:
    """Compares each message with what is known of its node, and returns an event per change.

    Within the limits on nodes and on the plugins of a node. The node that has been silent for
    longest makes room for a new one.
    """

    def __init__(self, limits: LimitsConfig | None = None) -> None:
        self._limits = limits or LimitsConfig()
        self._nodes: dict[str, _Node] = {}

    def on_message(self, topic: Topic, message: Message, now_ms: int) -> list[Event]:
        """Return the changes that `message` brings for its node."""
        if isinstance(message, Heartbeat):
            return self.on_heartbeat(topic.node, message, now_ms)
        node = self._node(topic.node, now_ms)
        if node is None:
            return []
        events = _heard_events(topic.node, node, message, now_ms)
        if isinstance(message, PluginState) and self._has_room(topic, node):
            events += _plugin_events(topic, message, node, now_ms)
        return events

    def on_heartbeat(self, name: str, heartbeat: Heartbeat, now_ms: int) -> list[Event]:
        """Return the changes that a heartbeat of a node brings."""
        node = self._node(name, now_ms)
        if node is None:
            return []
        events = _heard_events(name, node, heartbeat, now_ms)
        # Heartbeats are not retained, so they prove that the node is on.
        node.beat_ms = now_ms
        return events + _drop_events(name, node, heartbeat.dropped, now_ms)

    def sweep(self, now_ms: int) -> list[Event]:
        """Return an event for each node that fell silent since the last call."""
        events: list[Event] = []
        for name, node in self._nodes.items():
            node.presence.update(now_ms)
            events += _presence_events(name, node, now_ms)
        return events

    def _node(self, name: str, now_ms: int) -> _Node | None:
        """Return a node; None for a new one without room."""
        if name not in self._nodes:
            if len(self._nodes) >= self._limits.nodes and not self._forget_silent():
                return None
            self._nodes[name] = _Node(now_ms)
        return self._nodes[name]

    def _forget_silent(self) -> bool:
        """Forget the node that is silent for longest; return False where none is."""
        silent = [name for name, node in self._nodes.items() if not node.is_online]
        if not silent:
            return False
        del self._nodes[min(silent, key=lambda name: self._nodes[name].presence.last_ms)]
        return True

    def _has_room(self, plugin: Topic, node: _Node) -> bool:
        return plugin in node.plugins or len(node.plugins) < self._limits.plugins


def _heard_events(name: str, node: _Node, message: Message, now_ms: int) -> list[Event]:
    node.presence.on_message(message, now_ms)
    node.presence.update(now_ms)
    return _presence_events(name, node, now_ms)


def _presence_events(name: str, node: _Node, now_ms: int) -> list[Event]:
    presence, status = node.presence.presence, node.presence.status
    boot_id = status.boot_id[:_MAX_BOOT_ID_CHARS] if status else ""
    if presence != "online":
        return [_silence_event(name, node, presence, now_ms)] if node.is_online else []
    if node.is_online and boot_id == node.boot_id:
        return []
    events: list[Event] = []
    if node.is_online and node.beat_ms <= node.online_ms:
        # The run that was named before was retained, and not heard itself.
        events.append(_silence_event(name, node, "lost", now_ms))
    node.is_online, node.boot_id, node.online_ms = True, boot_id, now_ms
    node.silent_ms = node.beat_ms
    run = f"{boot_id} {status.since_ms}" if status else ""
    return [*events, Event(name, now_ms, PRESENCE, run, presence)]


def _silence_event(name: str, node: _Node, presence: str, now_ms: int) -> Event:
    node.is_online = False
    at_ms = max(node.online_ms, node.beat_ms) if presence == "lost" else now_ms
    return Event(name, at_ms, PRESENCE, node.boot_id, presence)


def _plugin_events(topic: Topic, state: PluginState, node: _Node, now_ms: int) -> list[Event]:
    known = node.plugins.get(topic)
    node.plugins[topic] = state
    if known is not None and (known.state, known.since_ms) == (state.state, state.since_ms):
        return []
    # A change during a silence is told after it, with its own time.
    since_ms = state.since_ms + node.presence.clock_offset_ms
    is_older = max(node.silent_ms, now_ms - _MAX_SILENCE_MS) < since_ms < now_ms
    at_ms = since_ms if is_older else now_ms
    events: list[Event] = []
    if known is not None and _has_failed_between(known, state):
        failed_ms = min(node.silent_ms or at_ms, at_ms)
        events.append(Event(topic.node, failed_ms, PLUGIN, topic.name, "failed"))
    detail = f"{state.state}: {state.error}" if state.error else state.state
    return [*events, Event(topic.node, at_ms, PLUGIN, topic.name, detail[:MAX_DETAIL_CHARS])]


def _has_failed_between(known: PluginState, state: PluginState) -> bool:
    """Whether a plugin failed and recovered while its node could not tell."""
    return known.state == state.state == "running" and state.restarts > known.restarts


def _drop_events(name: str, node: _Node, dropped: int, now_ms: int) -> list[Event]:
    known, node.dropped = node.dropped, dropped
    if known is None or dropped <= known:
        return []
    return [Event(name, now_ms, DROPPED, "", str(dropped - known))]
