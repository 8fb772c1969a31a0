"""One line for a message, with the names and units of the sensors' descriptions. Pure.

12:03:04 pi4 Kitchen/DHT22 temperature 21.4 °C humidity 44 %RH
12:03:05 pi4 online
12:03:06 pi4 warning plugin:dht22 no answer on pin 4
"""

import datetime as dt
from collections.abc import Iterator, Mapping

from bus.client.link import WireMessage
from bus.contract.description import About, FieldDescription, SensorDescription
from bus.contract.messages import Alarm, Heartbeat, Log, Message, Reading, Status, decode
from bus.contract.topics import ROOT, Topic, TopicKind, parse
from bus.contract.value_text import duration, write
from bus.errors import BadDataError

_UNDESCRIBED = FieldDescription()
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_REMOVED = "(empty: removed)"


class Names:
    """Names of nodes and sensors, as the last descriptions tell them."""

    def __init__(self) -> None:
        self._sensors: dict[tuple[str, str], SensorDescription] = {}
        self._nodes: dict[str, About] = {}

    def learn(self, message: WireMessage) -> None:
        """Remember a description; other messages say nothing of names."""
        topic, said = decoded(message)
        if topic is None:
            return
        if isinstance(said, SensorDescription):
            self._sensors[topic.node, topic.name] = said
        elif isinstance(said, About):
            self._nodes[topic.node] = said

    def sensor(self, node: str, sensor: str) -> str:
        """Return `Area/Title` of a sensor; its id stands for a missing title."""
        described, about = self._sensors.get((node, sensor)), self._nodes.get(node)
        area = (described.area if described else "") or (about.area if about else "")
        title = (described.title if described else "") or sensor
        return f"{area}/{title}" if area else title

    def fields(self, node: str, sensor: str) -> Mapping[str, FieldDescription]:
        described = self._sensors.get((node, sensor))
        return described.fields if described else {}


def line(message: WireMessage, names: Names, now: dt.datetime) -> str:
    """Return the line of a message that came at `now`, in whose zone times are shown."""
    topic, said = decoded(message)
    if topic is None:
        return f"{now:%H:%M:%S} {printable(message.topic)} {text_of(message.payload)}"
    words = _words(topic, said, names)
    if words is None:
        rest = message.topic.removeprefix(f"{ROOT}/{topic.node}/")
        words = f"{rest} {text_of(message.payload)}"
    return f"{_time(said, now):%H:%M:%S} {topic.node} {printable(words)}"


def decoded(message: WireMessage) -> tuple[Topic | None, Message | None]:
    """Return topic and message; None for what is not of this system, or does not decode."""
    try:
        topic = parse(message.topic)
    except BadDataError:
        return None, None
    try:
        return topic, decode(topic, message.payload)
    except BadDataError:
        return topic, None


def text_of(payload: bytes) -> str:
    """Return a payload on one line, without what would move the cursor of a terminal."""
    return printable(payload.decode(errors="replace")) if payload else _REMOVED


def is_utf8(text: str) -> bool:
    """Whether an argument was UTF-8; other bytes are surrogates in Python."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    return "".join(c if c.isprintable() else _REPLACEMENT for c in text)


def _time(said: Message | None, now: dt.datetime) -> dt.datetime:
    """Return when a message was made, where it says so and the time can be shown."""
    if not isinstance(said, Reading | Log):
        return now
    return dt.datetime.fromtimestamp(said.timestamp_ms / 1000, now.tzinfo)


def _words(topic: Topic, said: Message | None, names: Names) -> str | None:
    """Return the words for a message; None for one that is shown as it is."""
    match said:
        case Reading():
            values = " ".join(_values(said, names.fields(topic.node, topic.name)))
            return f"{names.sensor(topic.node, topic.name)} {values}"
        case Status():
            return said.state
        case Log():
            return f"{said.level} {said.source} {said.message}"
        case Heartbeat():
            return f"heartbeat, up {duration(said.uptime_s)}, {said.outbox_rows} in the outbox"
        case Alarm():
            return f"alarm {topic.name} {said.severity}: {said.text}"
        case _:
            return None


def _values(said: Reading, described: Mapping[str, FieldDescription]) -> Iterator[str]:
    """Yield name, value and unit of each field, the described ones in their order."""
    known = [name for name in described if name in said.data]
    for name in (*known, *sorted(said.data.keys() - described.keys())):
        field, value = described.get(name, _UNDESCRIBED), said.data[name]
        is_plain = not isinstance(value, str | bool) and not field.words and not field.duration
        unit = f" {field.unit}" if field.unit and is_plain else ""
        yield f"{_label(field.label) or name} {write(value, field)}{unit}"


def _label(label: str) -> str:
    """Return a label within a line: `temperature`, but `IAQ`."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


DESCRIBING = (TopicKind.SENSOR, TopicKind.ABOUT)
