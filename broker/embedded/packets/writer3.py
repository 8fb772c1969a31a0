"""Writer of MQTT 3.1.1: encodes the packets that the broker sends."""

from collections.abc import Sequence
from functools import lru_cache

from broker.embedded.packets.fields import UINT16, encode_length
from broker.embedded.packets.model import ConnackCode, PacketType, Publish

# Topics that are kept encoded, of all connections.
_MAX_TOPICS = 4_096
_PUBLISH = tuple(bytes((PacketType.PUBLISH << 4 | flags,)) for flags in range(16))

PINGRESP = bytes((PacketType.PINGRESP << 4, 0))


def connack(code: ConnackCode, *, session_present: bool = False) -> bytes:
    """Return a CONNACK."""
    return bytes((PacketType.CONNACK << 4, 2, session_present, code))


def acknowledgement(kind: PacketType, packet_id: int) -> bytes:
    """Return a PUBACK, PUBREC, PUBCOMP or UNSUBACK."""
    return bytes((kind << 4, 2, packet_id >> 8, packet_id & 0xFF))


def pubrel(packet_id: int) -> bytes:
    """Return a PUBREL, which has a flag (MQTT-3.6.1-1)."""
    return bytes((PacketType.PUBREL << 4 | 2, 2, packet_id >> 8, packet_id & 0xFF))


def suback(packet_id: int, codes: Sequence[int]) -> bytes:
    """Return a SUBACK with a return code for each filter."""
    body = UINT16.pack(packet_id) + bytes(codes)
    return bytes((PacketType.SUBACK << 4,)) + encode_length(len(body)) + body


def publish(message: Publish, packet_id: int = 0, *, dup: bool = False) -> bytes:
    """Return a PUBLISH of `message` under a packet id of the receiver's session."""
    topic = _topic(message.topic)
    first = _PUBLISH[dup << 3 | message.qos << 1 | message.retain]
    if not message.qos:
        length = encode_length(len(topic) + len(message.payload))
        return b"".join((first, length, topic, message.payload))
    length = encode_length(len(topic) + 2 + len(message.payload))
    return b"".join((first, length, topic, UINT16.pack(packet_id), message.payload))


@lru_cache(_MAX_TOPICS)
def _topic(topic: str) -> bytes:
    encoded = topic.encode()
    return UINT16.pack(len(encoded)) + encoded
