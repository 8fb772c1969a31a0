"""Encoder of the MQTT 3.1.1 packets that the broker sends."""

import enum
import struct

from broker.embedded.packets.decode import PacketType, Publish

_UINT16 = struct.Struct("!H")


class ConnackCode(enum.IntEnum):
    """CONNACK return codes, section 3.2.2.3."""

    ACCEPTED = 0
    VERSION = 1
    IDENTIFIER = 2
    UNAVAILABLE = 3
    CREDENTIALS = 4
    NOT_AUTHORIZED = 5


SUBSCRIPTION_FAILED = 0x80

PINGRESP = bytes((PacketType.PINGRESP << 4, 0))


def connack(code: ConnackCode, *, session_present: bool = False) -> bytes:
    """Return a CONNACK."""
    return bytes((PacketType.CONNACK << 4, 2, session_present, code))


def acknowledgement(kind: PacketType, packet_id: int) -> bytes:
    """Return a PUBACK, PUBREC, PUBCOMP or UNSUBACK."""
    return bytes((kind << 4, 2)) + _UINT16.pack(packet_id)


def pubrel(packet_id: int) -> bytes:
    """Return a PUBREL, which has a flag (MQTT-3.6.1-1)."""
    return bytes((PacketType.PUBREL << 4 | 2, 2)) + _UINT16.pack(packet_id)


def suback(packet_id: int, codes: list[int]) -> bytes:
    """Return a SUBACK with a return code for each filter."""
    body = _UINT16.pack(packet_id) + bytes(codes)
    return bytes((PacketType.SUBACK << 4,)) + _length(len(body)) + body


def publish(message: Publish, packet_id: int = 0, *, dup: bool = False) -> bytes:
    """Return a PUBLISH of `message` under a packet id of the receiver's session."""
    topic = message.topic.encode()
    ids = _UINT16.pack(packet_id) if message.qos else b""
    flags = dup << 3 | message.qos << 1 | message.retain
    length = _length(2 + len(topic) + len(ids) + len(message.payload))
    start = bytes((PacketType.PUBLISH << 4 | flags,))
    return b"".join((start, length, _UINT16.pack(len(topic)), topic, ids, message.payload))


def _length(count: int) -> bytes:
    """Encode a remaining length, section 2.2.3."""
    encoded = bytearray()
    while True:
        count, low = divmod(count, 128)
        encoded.append(low | (128 if count else 0))
        if not count:
            return bytes(encoded)
