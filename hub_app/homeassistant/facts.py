"""Facts of a node that become entities, as the live state and the rules of alarms have them."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from bus.contract.description import About, SensorDescription
from bus.contract.messages import PluginState, Status, Value
from bus.contract.topics import Topic, TopicKind
from hub_app.alarms.rules import Rule, RuleBook
from hub_app.live.state import State

ValueKind = Literal["number", "text", "flag"]


class AlarmFacts(msgspec.Struct, frozen=True):
    """An alarm that may become active: its topic's name, and what it is called."""

    name: str
    title: str


class SensorFacts(msgspec.Struct, frozen=True):
    """A sensor. `kinds` has the kind of each value that ever came, `events` the names of events."""

    id: str
    described: SensorDescription
    kinds: Mapping[str, ValueKind] = {}
    events: tuple[str, ...] = ()
    alarms: tuple[AlarmFacts, ...] = ()


class PluginFacts(msgspec.Struct, frozen=True):
    """A plugin; `latest` is the newest version of it on any node."""

    name: str
    state: PluginState
    latest: str = ""
    alarms: tuple[AlarmFacts, ...] = ()


class NodeFacts(msgspec.Struct, frozen=True):
    """A node without its sensors and plugins; `leds` is the length of its strip."""

    node: str
    status: Status | None = None
    about: About | None = None
    leds: int = 0
    has_display: bool = False
    alarms: tuple[AlarmFacts, ...] = ()

    @property
    def title(self) -> str:
        return (self.about.title if self.about else "") or self.node

    @property
    def area(self) -> str:
        return self.about.area if self.about else ""

    def commands_of(self, actuator: str) -> Iterable[str]:
        """Return the words that an actuator takes; none where the node does not have it."""
        return self.about.actuators.get(actuator, ()) if self.about else ()


def kinds_of(data: Mapping[str, Value]) -> dict[str, ValueKind]:
    """Return the kind of each value of a reading."""
    return {name: _kind(value) for name, value in data.items()}


def node_facts(state: State, book: RuleBook, node: str, own_node: str) -> NodeFacts:
    """Return the facts of a node. Raises KeyError for an unknown one."""
    about = state.about(node)
    leds = state.value(Topic(node, TopicKind.LEDS))
    return NodeFacts(
        node,
        status=state.presence(node).status,
        about=about,
        leds=len(leds.pixels) if leds is not None else 0,
        has_display=state.picture(node) is not None,
        alarms=tuple(_of_node(book, node, about.area if about else "", own_node)),
    )


def sensor_alarms(
    book: RuleBook, node: str, sensor: str, described: SensorDescription, area: str
) -> tuple[AlarmFacts, ...]:
    """Return the alarms of a sensor's values; its faults are told as one of their own."""
    title = described.title or sensor
    return tuple(
        AlarmFacts(rule.alarm_name(sensor, field), _title(rule, title, said.label or field))
        for rule in book.matching("field", node, sensor, described.area or area)
        for field, said in described.fields.items()
        if rule.covers_field(field)
    )


def plugin_alarms(book: RuleBook, node: str, plugin: str, area: str) -> tuple[AlarmFacts, ...]:
    return tuple(
        AlarmFacts(rule.alarm_name(plugin, ""), _title(rule, f"plugin {plugin}"))
        for rule in book.matching("plugin", node, plugin, area)
    )


def _of_node(book: RuleBook, node: str, area: str, own_node: str) -> Iterable[AlarmFacts]:
    of_hub = ("disk", "certificate", "backup") if node == own_node else ()
    for kind in ("lost", "outbox", "clock", *of_hub):
        for rule in book.matching(kind, node, "", area):
            yield AlarmFacts(rule.alarm_name("", ""), _title(rule))


def _title(rule: Rule, *of: str) -> str:
    return " ".join(("Alarm", rule.name, *of))


def _kind(value: Value) -> ValueKind:
    if isinstance(value, bool):
        return "flag"
    return "text" if isinstance(value, str) else "number"
