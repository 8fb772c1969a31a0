"""Decoding of `readings` and `backlog` payloads, reading by reading.

One bad reading in a backlog does not spoil the others. A reading that is refused is acknowledged
all the same, because its node would send it for ever; it is counted, logged and stored as an event.
"""

from typing import Annotated, Any

import msgspec

from bus.contract.messages import MAX_BACKLOG, Reading, decode
from bus.contract.topics import Topic, TopicKind
from bus.errors import BadDataError, BadPayloadError

# The largest integer that every JSON reader keeps exact, and far below SQLite's own limit.
LARGEST_INTEGER = 2**53
MAX_STREAM_CHARS = 64

_LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])


class ReadingKey(msgspec.Struct, frozen=True):
    """The part of a reading that identifies it among the readings of its node."""

    stream: Annotated[str, msgspec.Meta(max_length=MAX_STREAM_CHARS)]
    seq: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_INTEGER)]


class RefusedReading(msgspec.Struct, frozen=True):
    """A reading that is not stored; without a `key` it cannot be acknowledged either."""

    node: str
    key: ReadingKey | None
    reason: str


def decode_readings(topic: Topic, payload: bytes) -> tuple[list[Reading], list[RefusedReading]]:
    """Return the readings in a payload of a `readings` or `backlog` topic, and the refused ones."""
    if topic.kind is TopicKind.READING:
        return _decode_each(topic, [payload])
    try:
        parts = _LIST_DECODER.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        return [], [RefusedReading(topic.node, None, f"{topic}: {e}; found {payload[:80]!r}")]
    if len(parts) > MAX_BACKLOG:
        reason = f"{topic}: found {len(parts)} readings, at most {MAX_BACKLOG}"
        return [], [RefusedReading(topic.node, None, reason)]
    return _decode_each(topic, [bytes(part) for part in parts])


def key_of(reading: Reading) -> ReadingKey | None:
    """Return the key of a decoded reading, or None where it is beyond the limits of one."""
    if len(reading.stream) > MAX_STREAM_CHARS or reading.seq > LARGEST_INTEGER:
        return None
    return ReadingKey(reading.stream, reading.seq)


def _decode_each(topic: Topic, payloads: list[bytes]) -> tuple[list[Reading], list[RefusedReading]]:
    readings: list[Reading] = []
    refused: list[RefusedReading] = []
    for payload in payloads:
        try:
            readings.append(_decode_reading(topic, payload))
        except BadDataError as e:
            refused.append(RefusedReading(topic.node, _decode_key(payload), str(e)))
    return readings, refused


def _decode_reading(topic: Topic, payload: bytes) -> Reading:
    # The readings of a backlog have no topic of their own, so each names its sensor itself.
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


def _decode_key(payload: bytes) -> ReadingKey | None:
    try:
        return msgspec.json.decode(payload, type=ReadingKey)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
