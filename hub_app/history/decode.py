"""Decoding of `readings` and `backlog` payloads, reading by reading.

One bad reading in a backlog does not spoil the others. A reading that is refused here never will
be stored, and its node is told so: it would send it for ever.
"""

import json
from typing import Any

import msgspec

from bus.contract.bounds import MAX_BACKLOG, Count, RandomId
from bus.contract.messages import Reading, check_size, decode
from bus.contract.topics import Topic, TopicKind
from bus.errors import BadDataError, BadPayloadError

_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# The fields that name a reading of a backlog.
_NAMING = ("sensor_id", "stream", "seq")
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
        parts = _split(payload)
    except (BadPayloadError, *_UNDECODABLE) as e:
        return [], [RefusedReading(topic.node, None, f"{topic}: {e}; found {payload[:80]!r}")]
    if len(parts) > MAX_BACKLOG:
        reason = f"{topic}: found {len(parts)} readings, at most {MAX_BACKLOG}"
        return [], [RefusedReading(topic.node, None, reason)]
    return _decode_each(topic, parts)


def _split(payload: bytes) -> list[bytes]:
    """Return the readings of a backlog. Raises msgspec.DecodeError, RecursionError."""
    try:
        return [bytes(part) for part in _LIST_DECODER.decode(payload)]
    except msgspec.DecodeError:
        parts = _loaded(payload)
        if not isinstance(parts, list):
            raise
        return [_without_nan(part) for part in parts]


def _loaded(payload: bytes) -> Any:
    """Return what JSON spells, also with NaN and Infinity as Python writes it; None for no JSON."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def _without_nan(part: Any) -> bytes:
    """Return a reading as JSON with null for NaN, without its values where there is no JSON."""
    named = {name: part.get(name) for name in _NAMING} if isinstance(part, dict) else None
    for each in (part, named):
        try:
            return msgspec.json.encode(each)
        except (OverflowError, RecursionError, ValueError):
            continue
    return b"null"


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
        pass
    try:
        return msgspec.convert(_loaded(payload), ReadingKey)
    except msgspec.ValidationError:
        return None
