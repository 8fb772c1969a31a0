"""Catalog of what becomes entities: the groups of each node, and which of them have changed.

A group is a node, a sensor or a plugin. A change of the live state marks its group; the messages of
one group at a time are made when they are asked for, so that no change makes much work at once.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from bus.contract.description import About
from bus.contract.messages import Event
from bus.contract.topics import Topic, TopicKind
from hub_app.alarms.rules import RuleBook
from hub_app.homeassistant import facts, messages
from hub_app.homeassistant.facts import NodeFacts, PluginFacts, SensorFacts, ValueKind
from hub_app.homeassistant.messages import Messages
from hub_app.homeassistant.site import Site
from hub_app.homeassistant.versions import PluginVersions
from hub_app.live.change import Change
from hub_app.live.state import State

GroupKind = Literal["node", "sensor", "plugin"]
# Node, kind, and the name of the sensor or plugin.
Group = tuple[str, GroupKind, str]
# Event types of one sensor.
_MOST_EVENTS = 32


class Catalog:
    """Groups of `state`. `page_url` returns the address of the page, empty while it is unknown."""

    def __init__(
        self, site: Site, state: State, book: RuleBook, page_url: Callable[[About | None], str]
    ) -> None:
        self._site = site
        self._state = state
        self._book = book
        self._page_url = page_url
        self._rules = book.every
        self._groups: dict[str, dict[Group, None]] = {}
        # News of single groups, and those that all change together, which may wait.
        self._changed: dict[Group, None] = {}
        self._stale: dict[Group, None] = {}
        # What changes the messages of nodes: version and role, and the length of the strip.
        self._seen: dict[tuple[str, str], object] = {}
        self._kinds: dict[tuple[str, str], dict[str, ValueKind]] = {}
        self._events: dict[tuple[str, str], tuple[str, ...]] = {}
        self._versions = PluginVersions()
        self._on_kind: dict[TopicKind, Callable[[Change], None]] = {
            TopicKind.STATUS: self._on_status,
            TopicKind.ABOUT: self._on_about,
            TopicKind.SENSOR: self._on_sensor,
            TopicKind.PLUGIN: self._on_plugin,
            TopicKind.READING: self._on_reading,
            TopicKind.LEDS: self._on_leds,
            TopicKind.OLED: self._on_oled,
            TopicKind.EVENT: self._on_event,
        }

    @property
    def has_changed(self) -> bool:
        return bool(self._changed or self._stale)

    def on_changes(self, changes: Iterable[Change]) -> None:
        """Mark the groups that changes of the live state concern."""
        for change in changes:
            handler = self._on_kind.get(change.kind)
            if handler is not None:
                handler(change)

    def sweep(self) -> None:
        """Follow the rules of alarms, and what all devices have in common."""
        own = self._site.own_node
        known = msgspec.structs.replace(
            self._site,
            has_own_node=own in self._state.nodes,
            configuration_url=self._page_url(self._state.about(own)),
        )
        if known != self._site or self._rules is not self._book.every:
            self._site, self._rules = known, self._book.every
            for groups in self._groups.values():
                self._stale |= groups

    def learn_events(self, node: str, sensor: str, names: Iterable[str]) -> None:
        """Add event types of a sensor that are known from before."""
        known = self._events.get((node, sensor), ())
        new = [name for name in names if name and name not in known][: _MOST_EVENTS - len(known)]
        if new:
            self._events[node, sensor] = (*known, *new)
            self._mark(node, "sensor", sensor)

    def take(self, *, with_stale: bool = True) -> tuple[Group, Messages] | None:
        """Return a group that has changed with its messages, none where it is gone.

        News go first; `with_stale` false leaves the others.
        """
        queue = self._changed or (self._stale if with_stale else {})
        if not queue:
            return None
        group = next(iter(queue))
        del queue[group]
        self._stale.pop(group, None)
        found = self._messages(group)
        if not found:
            self._groups.get(group[0], {}).pop(group, None)
        return group, found

    def _messages(self, group: Group) -> Messages:
        name, kind, of = group
        state = self._state
        if name not in state.nodes or not self._site.publishes(name):
            return {}
        node = facts.node_facts(state, self._book, name, self._site.own_node)
        if kind == "sensor":
            return self._of_sensor(node, of)
        if kind == "plugin":
            return self._of_plugin(node, of)
        return messages.node_messages(self._site, node)

    def _of_sensor(self, node: NodeFacts, sensor: str) -> Messages:
        described = self._state.description(node.node, sensor)
        if described is None:
            return {}
        found = SensorFacts(
            sensor,
            described,
            kinds=self._kinds.get((node.node, sensor), {}),
            events=self._events.get((node.node, sensor), ()),
            alarms=facts.sensor_alarms(self._book, node.node, sensor, described, node.area),
        )
        return messages.sensor_messages(self._site, node, found)

    def _of_plugin(self, node: NodeFacts, plugin: str) -> Messages:
        said = self._state.value(Topic(node.node, TopicKind.PLUGIN, plugin))
        if said is None:
            return {}
        alarms = facts.plugin_alarms(self._book, node.node, plugin, node.area)
        found = PluginFacts(plugin, said, self._versions.latest(plugin), alarms)
        return messages.plugin_messages(self._site, node, found)

    def _mark(self, node: str, kind: GroupKind, name: str = "") -> None:
        group: Group = (node, kind, name)
        self._groups.setdefault(node, {})[group] = None
        self._changed[group] = None

    def _mark_node(self, node: str) -> None:
        self._mark(node, "node")
        self._changed |= self._groups[node]

    def _on_status(self, change: Change) -> None:
        node = change.node
        if change.value is None:
            self._mark_node(node)
            for known in (self._seen, self._kinds, self._events):
                _forget(known, node)
            return
        status = change.value.status
        if self._is_news(node, "status", (status.version, status.role) if status else None):
            self._mark_node(node)

    def _on_about(self, change: Change) -> None:
        self._mark_node(change.node)

    def _on_sensor(self, change: Change) -> None:
        self._mark(change.node, "sensor", change.name)
        if change.value is None:
            self._kinds.pop((change.node, change.name), None)
            self._events.pop((change.node, change.name), None)

    def _on_plugin(self, change: Change) -> None:
        self._mark(change.node, "plugin", change.name)
        version = getattr(change.value, "version", "")
        for node in self._versions.set(change.node, change.name, version):
            self._mark(node, "plugin", change.name)

    def _on_reading(self, change: Change) -> None:
        if change.value is None:
            return
        key = change.node, change.name
        known = self._kinds.get(key, {})
        kinds = facts.kinds_of(change.value.data)
        if not kinds.items() <= known.items():
            self._kinds[key] = known | kinds
            if self._state.description(*key) is not None:
                self._mark(change.node, "sensor", change.name)

    def _on_leds(self, change: Change) -> None:
        count = len(change.value.pixels) if change.value is not None else 0
        if self._is_news(change.node, "leds", count):
            self._mark(change.node, "node")

    def _on_oled(self, change: Change) -> None:
        if self._is_news(change.node, "oled", change.value is not None):
            self._mark(change.node, "node")

    def _on_event(self, change: Change) -> None:
        if isinstance(change.value, Event):
            self.learn_events(change.node, change.name, [change.value.name])

    def _is_news(self, node: str, what: str, value: object) -> bool:
        if (node, what) in self._seen and self._seen[node, what] == value:
            return False
        self._seen[node, what] = value
        return True


def _forget(known: dict[tuple[str, str], Any], node: str) -> None:
    for key in [key for key in known if key[0] == node]:
        del known[key]
