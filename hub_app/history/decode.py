"""Decoding of `readings` and `backlog` payloads, reading by reading.

One bad reading in a backlog does not spoil the others. A reading that is refused here never will
be stored, and its node is told so: it would send it for ever.
"""

import msgspec

from bus.contract.bounds import MAX_BACKLOG, Count, RandomId
from bus.contract.messages import Reading, check_size, decode
from bus.contract.topics import Topic, TopicKind
from bus.errors import BadDataError, BadPayloadError

_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])


class ReadingKey(msgspec.Struct, frozen=True):
    """The part of a reading that identifies it among the readings of its node."""

    stream: RandomId
    seq: Count


class _SensorOf(msgspec.Struct, frozen=True):
    sensor_id: str


class RefusedReading(msgspec.Struct, frozen=True):
    """A reading that never will be stored; without a `key` its node cannot be told."""

    node: str
    key: ReadingKey | None
    reason: str


def decode_readings(topic: Topic, payload: bytes) -> tuple[list[Reading], list[RefusedReading]]:
    """Return the readings in a payload of a `readings` or `backlog` topic, and the refused ones."""
    if topic.kind is TopicKind.READING:
        return _decode_each(topic, [payload])
    try:
        check_size(topic, payload)
        parts = _LIST_DECODER.decode(payload)
    except (BadPayloadError, *_UNDECODABLE) as e:
        return [], [RefusedReading(topic.node, None, f"{topic}: {e}; found {payload[:80]!r}")]
    if len(parts) > MAX_BACKLOG:
        reason = f"{topic}: found {len(parts)} readings, at most {MAX_BACKLOG}"
        return [], [RefusedReading(topic.node, None, reason)]
    return _decode_each(topic, [bytes(part) for part in parts])


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
        try:
            sensor = msgspec.json.decode(payload, type=_SensorOf).sensor_id
        except _UNDECODABLE as e:
            raise BadPayloadError(f"{topic}: {e}; found {payload[:80]!r}") from e
        topic = Topic(topic.node, TopicKind.READING, sensor)
    message = decode(topic, payload)
    if not isinstance(message, Reading):
        raise BadPayloadError(f"{topic}: expected a reading")
    return message


def _decode_key(payload: bytes) -> ReadingKey | None:
    try:
        return msgspec.json.decode(payload, type=ReadingKey)
    except _UNDECODABLE:
        return None
