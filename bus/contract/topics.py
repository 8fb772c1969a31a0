"""Topics of the system: levels, publisher, retain flag and QoS of each kind.

No other module joins or splits a topic. `parse(str(topic)) == topic` for every topic.
"""

import enum
import re

import msgspec

from bus.errors import BadTopicError

ROOT = "harvester"
EVERYTHING = f"{ROOT}/#"

# Node, sensor and plugin names: they stand in topics, file names and URLs.
NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?\Z"
NAME_RULE = "up to 64 of a-z, 0-9 and hyphens"
_NAME = re.compile(NAME_PATTERN)


class TopicKind(enum.StrEnum):
    """Kind of a topic, by its payload."""

    STATUS = "status"
    HEARTBEAT = "heartbeat"
    READING = "reading"
    BACKLOG = "backlog"
    STORED = "stored"
    LOG = "log"
    PLUGIN = "plugin"
    LEDS = "leds"
    BUZZER = "buzzer"
    FAN = "fan"
    OLED = "oled"
    COMMAND = "command"
    RESULT = "result"
    SENSOR = "sensor"
    ABOUT = "about"
    EVENT = "event"
    ALARM = "alarm"
    UPDATE = "update"
    BUNDLE = "bundle"
    DELIVERY = "delivery"
    COSTS = "costs"
    RECORD = "record"
    SHADOW = "shadow"


class Channel(msgspec.Struct, frozen=True):
    """Levels, publisher, retain flag and QoS of one kind; `*` stands for the topic's name."""

    levels: tuple[str, ...]
    publisher: str
    retain: bool
    qos: int


CHANNELS = {
    TopicKind.STATUS: Channel(("status",), "node, or the broker as its last will", True, 1),
    TopicKind.HEARTBEAT: Channel(("heartbeat",), "node", False, 0),
    TopicKind.READING: Channel(("readings", "*"), "node", True, 1),
    TopicKind.BACKLOG: Channel(("backlog",), "node", False, 1),
    TopicKind.STORED: Channel(("stored",), "hub", False, 1),
    TopicKind.LOG: Channel(("logs",), "node", False, 0),
    TopicKind.PLUGIN: Channel(("plugins", "*"), "node", True, 1),
    TopicKind.LEDS: Channel(("leds",), "node", True, 0),
    TopicKind.BUZZER: Channel(("buzzer",), "node", True, 0),
    TopicKind.FAN: Channel(("fan",), "node", True, 0),
    TopicKind.OLED: Channel(("oled",), "node", True, 0),
    TopicKind.COMMAND: Channel(("*", "cmd"), "anyone allowed", False, 1),
    TopicKind.RESULT: Channel(("*", "result"), "node", False, 1),
    TopicKind.SENSOR: Channel(("sensors", "*"), "node", True, 1),
    TopicKind.ABOUT: Channel(("about",), "node", True, 1),
    TopicKind.EVENT: Channel(("events", "*"), "node", False, 1),
    TopicKind.ALARM: Channel(("alarms", "*"), "hub", True, 1),
    TopicKind.UPDATE: Channel(("update",), "node", True, 1),
    TopicKind.BUNDLE: Channel(("bundles", "*"), "hub", True, 1),
    TopicKind.DELIVERY: Channel(("deliveries", "*"), "node", True, 1),
    TopicKind.COSTS: Channel(("costs",), "node", False, 0),
    TopicKind.RECORD: Channel(("records", "*"), "node", False, 1),
    TopicKind.SHADOW: Channel(("shadows", "*"), "node", True, 1),
}

# Filters that match every topic above and no deeper one: what workers subscribe to.
EVERY_DEPTH = tuple(
    sorted({"/".join((ROOT, "+", *("+" for _ in found.levels))) for found in CHANNELS.values()})
)

# What takes commands. A command for anything else is a topic too, so that its node can refuse it.
ACTUATORS = ("buzzer", "fan", "leds", "names", "plugins", "update")
# `plugins/cmd` is a command, so no plugin can be called that.
RESERVED_NAMES = frozenset({"cmd", "result"})


def is_name(text: str) -> bool:
    """Return whether `text` is a valid name of a node, a sensor or a plugin."""
    return _NAME.match(text) is not None and text not in RESERVED_NAMES


def _around_name(channel: Channel) -> tuple[str, str]:
    """Return what stands before and after the name in a topic of a channel."""
    before, _, after = "/".join(channel.levels).partition("*")
    return before, after


_AROUND_NAME = {kind: _around_name(channel) for kind, channel in CHANNELS.items()}


class Topic(msgspec.Struct, frozen=True, order=True, gc=False):
    """One topic. `name` is the sensor, plugin, actuator or alarm where the kind has one.

    Raises BadTopicError when built with a node or name that no topic can hold.
    """

    node: str
    kind: TopicKind
    name: str = ""

    def __post_init__(self) -> None:
        if not is_name(self.node):
            raise BadTopicError(f"{self.node!r} cannot name a node: expected {NAME_RULE}")
        fits = is_name(self.name) if "*" in CHANNELS[self.kind].levels else self.name == ""
        if not fits:
            raise BadTopicError(f"{self.name!r} cannot name a {self.kind} topic of {self.node}")

    def __str__(self) -> str:
        before, after = _AROUND_NAME[self.kind]
        return f"{ROOT}/{self.node}/{before}{self.name}{after}"

    @property
    def channel(self) -> Channel:
        return CHANNELS[self.kind]


def parse(text: str) -> Topic:
    """Return the topic that `text` spells.

    Raises BadTopicError where it is none of ours.
    """
    root, *levels = text.split("/")
    if root != ROOT or len(levels) not in (2, 3):
        raise BadTopicError(f"{text!r} is no topic of this system: {ROOT}/<node>/... is expected")
    node, *rest = levels
    kind, name = _kind_of(rest)
    if kind is None:
        raise BadTopicError(f"{text!r} is no topic of this system: see topics.md")
    return Topic(node, kind, name)


def _kind_of(levels: list[str]) -> tuple[TopicKind | None, str]:
    if len(levels) == 1:
        return _PLAIN.get(levels[0]), ""
    first, second = levels
    if second in _BY_LAST:
        return _BY_LAST[second], first
    return _BY_FIRST.get(first), second


_PLAIN = {c.levels[0]: kind for kind, c in CHANNELS.items() if len(c.levels) == 1}
_BY_FIRST = {c.levels[0]: kind for kind, c in CHANNELS.items() if c.levels[1:] == ("*",)}
_BY_LAST = {c.levels[1]: kind for kind, c in CHANNELS.items() if c.levels[:1] == ("*",)}


def is_command(text: str) -> bool:
    """Return whether `text` is the topic of a command."""
    try:
        return parse(text).kind is TopicKind.COMMAND
    except BadTopicError:
        return False


def is_bundle(text: str) -> bool:
    """Return whether `text` is the topic of a bundle for a node."""
    try:
        return parse(text).kind is TopicKind.BUNDLE
    except BadTopicError:
        return False


def is_record(text: str) -> bool:
    """Return whether `text` is the topic of a plugin's record."""
    # Asked for each message that comes, so that most are not parsed.
    if _AROUND_NAME[TopicKind.RECORD][0] not in text:
        return False
    try:
        return parse(text).kind is TopicKind.RECORD
    except BadTopicError:
        return False


def topic_filter(kind: TopicKind, node: str = "+", name: str = "+") -> str:
    """Return the subscription filter for one kind of topic, of every node and name by default."""
    levels = (name if level == "*" else level for level in CHANNELS[kind].levels)
    return "/".join((ROOT, node, *levels))


def global_sensor_id(node: str, sensor_id: str) -> str:
    """Return a reading's id towards HTTP and plugins, for example `pi4:dht22-gpio4`."""
    return f"{node}:{sensor_id}"
