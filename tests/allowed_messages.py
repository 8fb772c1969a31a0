"""Hypothesis strategies for any message that the types of `bus.contract.messages` allow."""

import math
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from bus.contract.messages import MESSAGE_TYPES, Backlog, Message, Oled, Reading, Stored
from bus.contract.reading import CheckedReading
from bus.contract.topics import ACTUATORS, CHANNELS, NAME_PATTERN, Topic, TopicKind, is_name

# Long enough for every bound below it to be met, short enough for a fast test.
_LONGEST_TEXT = 80
_LONGEST_LIST = 4

NAMES = st.from_regex(NAME_PATTERN, fullmatch=True).filter(is_name)
_NO_CONTROLS = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029")
_ALPHABETS = {
    r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z": _NO_CONTROLS,
    r"^[A-Za-z0-9._:-]*\Z": st.sampled_from("AZaz09._:-"),
    r"^[0-9a-f]*\Z": st.sampled_from("0123456789abcdef"),
    None: st.characters(exclude_categories=("Cs",)),
}
KINDS = {message_type: kind for kind, message_type in MESSAGE_TYPES.items()}
_NAMED = {
    TopicKind.PLUGIN: "dht22",
    TopicKind.RESULT: "buzzer",
    TopicKind.SENSOR: "dht22-gpio4",
    TopicKind.EVENT: "button",
    TopicKind.ALARM: "too-warm",
    TopicKind.BUNDLE: "dht22",
    TopicKind.DELIVERY: "dht22",
    TopicKind.RECORD: "dht22",
    TopicKind.SHADOW: "dht22",
}


def topic_of(message: Message, node: str = "pi4") -> Topic:
    """Return a topic that `message` may be published on."""
    kind = KINDS[type(message)]
    if isinstance(message, Reading):
        return Topic(message.node, kind, message.sensor_id)
    if isinstance(message, Backlog):
        return Topic("pi4", kind)
    return Topic(node, kind, _NAMED.get(kind, ""))


def messages(message_type: type[Message]) -> st.SearchStrategy[Message]:
    """Return a strategy for one type of message; a backlog is of the node `pi4`."""
    if message_type is Oled:
        return st.builds(_oled, st.integers(1, 32), st.integers(1, 256), st.booleans())
    if message_type is Backlog:
        of_node = messages(Reading).map(lambda one: msgspec.structs.replace(one, node="pi4"))
        return st.builds(Backlog, st.lists(of_node, min_size=1, max_size=_LONGEST_LIST))
    if message_type is Reading:
        checked: st.SearchStrategy[CheckedReading] = _values(inspect.type_info(CheckedReading))
        return checked.map(lambda one: Reading(*msgspec.structs.astuple(one)))
    made: st.SearchStrategy[Message] = _values(inspect.type_info(message_type))
    return made.map(_ascending) if message_type is Stored else made


def any_message() -> st.SearchStrategy[Message]:
    return st.one_of(*(messages(message_type) for message_type in MESSAGE_TYPES.values()))


def any_topic() -> st.SearchStrategy[Topic]:
    """Return a strategy for topics of any kind, of few nodes."""
    return st.builds(_topic, st.sampled_from(("pi4", "pi5", "revpi")), st.sampled_from(TopicKind))


def _topic(node: str, kind: TopicKind) -> Topic:
    if kind in (TopicKind.COMMAND, TopicKind.RESULT):
        return Topic(node, kind, ACTUATORS[0])
    return Topic(node, kind, "room" if "*" in CHANNELS[kind].levels else "")


def _oled(columns: int, height: int, on: bool) -> Oled:
    return Oled(8 * columns, height, on, bytes(columns * height))


def _ascending(message: Message) -> Message:
    assert isinstance(message, Stored)
    ranges, refused = (
        [(min(r), max(r)) for r in some] for some in (message.ranges, message.refused)
    )
    return msgspec.structs.replace(message, ranges=ranges, refused=refused)


def _values(described: inspect.Type) -> st.SearchStrategy[Any]:
    for kind, strategy in _STRATEGIES.items():
        if isinstance(described, kind):
            return strategy(described)
    raise TypeError(f"no strategy for {described}")


def _text(described: inspect.StrType) -> st.SearchStrategy[object]:
    if described.pattern == NAME_PATTERN:
        return NAMES
    if described.pattern is not None and described.pattern not in _ALPHABETS:
        return st.from_regex(described.pattern, fullmatch=True)
    longest = min(described.max_length or _LONGEST_TEXT, _LONGEST_TEXT)
    least = described.min_length or 0
    return st.text(_ALPHABETS[described.pattern], min_size=least, max_size=longest)


def _struct(described: inspect.StructType) -> st.SearchStrategy[object]:
    fields = {field.name: _values(field.type) for field in described.fields}
    return st.builds(described.cls, **fields)


def _floats(described: inspect.FloatType) -> st.SearchStrategy[object]:
    return st.floats(described.ge, described.le).filter(math.isfinite)


_STRATEGIES: dict[type[inspect.Type], Callable[..., st.SearchStrategy[object]]] = {
    inspect.IntType: lambda found: st.integers(found.ge, found.le),
    inspect.FloatType: _floats,
    inspect.StrType: _text,
    inspect.BoolType: lambda _: st.booleans(),
    inspect.BytesType: lambda _: st.binary(max_size=_LONGEST_TEXT),
    inspect.NoneType: lambda _: st.none(),
    inspect.LiteralType: lambda found: st.sampled_from(found.values),
    inspect.StructType: _struct,
    inspect.ListType: lambda found: st.lists(_values(found.item_type), max_size=_LONGEST_LIST),
    inspect.TupleType: lambda found: st.tuples(*map(_values, found.item_types)),
    inspect.DictType: lambda found: st.dictionaries(
        _values(found.key_type), _values(found.value_type), max_size=_LONGEST_LIST
    ),
    inspect.UnionType: lambda found: st.one_of(*map(_values, found.types)),
}
