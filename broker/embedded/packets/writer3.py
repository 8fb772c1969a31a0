"""Writer of MQTT 3.1.1: encodes the packets that the broker sends."""

from collections.abc import Sequence
from functools import lru_cache

from broker.embedded.packets.fields import UINT16, encode_length, encode_text
from broker.embedded.packets.model import Connack, PacketType, Publish

# Topics that are kept encoded, of all connections.
_MAX_TOPICS = 16_384
_PUBLISH = tuple(bytes((PacketType.PUBLISH << 4 | flags,)) for flags in range(16))

encoded_topic = lru_cache(_MAX_TOPICS)(encode_text)


class Writer3:
    """Encoder. The reasons of MQTT 5 are left out."""

    most_bytes = None

    def connack(self, connack: Connack) -> bytes:
        return bytes((PacketType.CONNACK << 4, 2, connack.session_present, connack.code))

    def acknowledgement(self, kind: PacketType, packet_id: int, _reason: int = 0) -> bytes:
        """Return a PUBACK, PUBREC, PUBREL or PUBCOMP."""
        return ACKNOWLEDGEMENT[kind] + UINT16.pack(packet_id)

    def suback(self, packet_id: int, codes: Sequence[int]) -> bytes:
        """Return a SUBACK with a return code for each filter."""
        body = UINT16.pack(packet_id) + bytes(min(code, 0x80) for code in codes)
        return bytes((PacketType.SUBACK << 4,)) + encode_length(len(body)) + body

    def unsuback(self, packet_id: int, _codes: Sequence[int]) -> bytes:
        return bytes((PacketType.UNSUBACK << 4, 2)) + UINT16.pack(packet_id)

    def pingresp(self) -> bytes:
        return PINGRESP

    def disconnect(self, _reason: int, _text: str = "") -> bytes | None:
        """Return None: a broker of MQTT 3.1.1 ends a connection without a packet."""
        return None

    def publish(self, message: Publish, packet_id: int = 0, *, dup: bool = False) -> bytes:
        """Return a PUBLISH of `message` under a packet id of the receiver's session."""
        topic = encoded_topic(message.topic)
        first = _PUBLISH[dup << 3 | message.qos << 1 | message.retain]
        if not message.qos:
            length = encode_length(len(topic) + len(message.payload))
            return b"".join((first, length, topic, message.payload))
        length = encode_length(len(topic) + 2 + len(message.payload))
        return b"".join((first, length, topic, UINT16.pack(packet_id), message.payload))


_ACKNOWLEDGEMENTS = (PacketType.PUBACK, PacketType.PUBREC, PacketType.PUBREL, PacketType.PUBCOMP)
PINGRESP = bytes((PacketType.PINGRESP << 4, 0))


def first_byte(kind: PacketType) -> int:
    """Return the first byte of a packet other than PUBLISH: PUBREL has a flag (MQTT-3.6.1-1)."""
    return kind << 4 | (2 if kind is PacketType.PUBREL else 0)


# The first byte and the length by type.
ACKNOWLEDGEMENT = {kind: bytes((first_byte(kind), 2)) for kind in _ACKNOWLEDGEMENTS}
