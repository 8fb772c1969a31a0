"""From payloads to readings for the history, one by one: a bad one among them spoils no other.

A reading that cannot be kept is answered as if it were, since its node would send it for ever. It
is counted, logged once a minute and noted as an event.
"""

from typing import Annotated, Any

import msgspec

from bus.contract.messages import MAX_BACKLOG, Reading, decode
from bus.contract.topics import Topic, TopicKind
from bus.errors import BadDataError, BadPayloadError

_LIST = msgspec.json.Decoder(list[msgspec.Raw])


class Name(msgspec.Struct, frozen=True):
    """What of a reading names it."""

    stream: Annotated[str, msgspec.Meta(max_length=64)]
    seq: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Refused(msgspec.Struct, frozen=True):
    """A reading that is not kept, and why; `name` is None where it cannot even be answered."""

    name: Name | None
    reason: str


def readings_in(topic: Topic, payload: bytes) -> tuple[list[Reading], list[Refused]]:
    """Return the readings that a payload on a reading's or a backlog's topic holds."""
    if topic.kind is TopicKind.READING:
        return _sorted_out([(topic, payload)])
    try:
        parts = _LIST.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        return [], [Refused(None, f"{topic}: {e}; found {payload[:80]!r}")]
    if len(parts) > MAX_BACKLOG:
        return [], [Refused(None, f"{topic}: found {len(parts)} readings, at most {MAX_BACKLOG}")]
    return _sorted_out([(topic, bytes(part)) for part in parts])


def _sorted_out(parts: list[tuple[Topic, bytes]]) -> tuple[list[Reading], list[Refused]]:
    good: list[Reading] = []
    bad: list[Refused] = []
    for topic, payload in parts:
        try:
            good.append(_reading(topic, payload))
        except BadDataError as e:
            bad.append(Refused(_name_of(payload), str(e)))
    return good, bad


def _reading(topic: Topic, payload: bytes) -> Reading:
    # A backlog's parts have no topic of their own, so a reading there names its sensor itself.
    if topic.kind is TopicKind.BACKLOG:
        sensor = _field(payload, "sensor_id")
        if not isinstance(sensor, str):
            raise BadPayloadError(f"{topic}: found {payload[:80]!r}, expected a reading")
        topic = Topic(topic.node, TopicKind.READING, sensor)
    message = decode(topic, payload)
    if not isinstance(message, Reading):
        raise BadPayloadError(f"{topic}: expected a reading")
    return message


def _field(payload: bytes, name: str) -> Any:
    try:
        found = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found.get(name) if isinstance(found, dict) else None


def _name_of(payload: bytes) -> Name | None:
    try:
        return msgspec.json.decode(payload, type=Name)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
