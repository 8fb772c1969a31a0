"""Writer of MQTT 5: encodes the packets that the broker sends."""

from collections.abc import Sequence

import msgspec

from broker.embedded.packets.fields import UINT16, encode_length
from broker.embedded.packets.model import (
    Connack,
    ConnackCode,
    PacketType,
    Properties,
    Publish,
    ReasonCode,
)
from broker.embedded.packets.properties import write_properties
from broker.embedded.packets.writer3 import PINGRESP, encoded_topic, first_byte

_REASONS = {
    ConnackCode.ACCEPTED: ReasonCode.SUCCESS,
    ConnackCode.VERSION: ReasonCode.UNSUPPORTED_VERSION,
    ConnackCode.IDENTIFIER: ReasonCode.CLIENT_ID_NOT_VALID,
    ConnackCode.UNAVAILABLE: ReasonCode.SERVER_UNAVAILABLE,
    ConnackCode.CREDENTIALS: ReasonCode.NOT_AUTHORIZED,
    ConnackCode.NOT_AUTHORIZED: ReasonCode.NOT_AUTHORIZED,
    ConnackCode.METHOD: ReasonCode.BAD_AUTHENTICATION_METHOD,
}


class Writer5:
    """Encoder of one connection. `topic_aliases`: how many the client takes."""

    def __init__(self, topic_aliases: int = 0) -> None:
        self._most_aliases = topic_aliases
        self._aliases: dict[str, int] = {}

    def connack(self, connack: Connack) -> bytes:
        fixed = bytes((connack.session_present, _REASONS[connack.code]))
        return _packet(PacketType.CONNACK, fixed + write_properties(connack.properties))

    def acknowledgement(self, kind: PacketType, packet_id: int, reason: int = 0) -> bytes:
        """Return a PUBACK, PUBREC, PUBREL or PUBCOMP; success needs no reason."""
        return _packet(kind, UINT16.pack(packet_id) + (bytes((reason,)) if reason else b""))

    def suback(self, packet_id: int, codes: Sequence[int]) -> bytes:
        """Return a SUBACK with a reason code for each filter."""
        return _packet(PacketType.SUBACK, UINT16.pack(packet_id) + b"\0" + bytes(codes))

    def unsuback(self, packet_id: int, codes: Sequence[int]) -> bytes:
        """Return an UNSUBACK with a reason code for each filter."""
        return _packet(PacketType.UNSUBACK, UINT16.pack(packet_id) + b"\0" + bytes(codes))

    def pingresp(self) -> bytes:
        return PINGRESP

    def disconnect(self, reason: int) -> bytes | None:
        """Return a DISCONNECT of the broker with its reason."""
        return _packet(PacketType.DISCONNECT, bytes((reason,)))

    def publish(self, message: Publish, packet_id: int = 0, *, dup: bool = False) -> bytes:
        """Return a PUBLISH of `message` under a packet id of the receiver's session.

        A topic alias is made at QoS 0 and 1, whose packets are sent in the order of this call.
        """
        topic, properties = self._alias(message)
        flags = dup << 3 | message.qos << 1 | message.retain
        ids = UINT16.pack(packet_id) if message.qos else b""
        fields = write_properties(properties)
        length = encode_length(len(topic) + len(ids) + len(fields) + len(message.payload))
        first = bytes((PacketType.PUBLISH << 4 | flags,))
        return b"".join((first, length, topic, ids, fields, message.payload))

    def _alias(self, message: Publish) -> tuple[bytes, Properties]:
        properties = message.properties
        if properties.topic_alias is not None:
            # It was the publisher's.
            properties = msgspec.structs.replace(properties, topic_alias=None)
        if not self._most_aliases or message.qos == 2:
            return encoded_topic(message.topic), properties
        alias = self._aliases.get(message.topic)
        if alias is not None:
            return b"\0\0", msgspec.structs.replace(properties, topic_alias=alias)
        if len(self._aliases) < self._most_aliases:
            alias = self._aliases[message.topic] = len(self._aliases) + 1
            properties = msgspec.structs.replace(properties, topic_alias=alias)
        return encoded_topic(message.topic), properties


def _packet(kind: PacketType, body: bytes) -> bytes:
    return bytes((first_byte(kind),)) + encode_length(len(body)) + body
