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
from broker.embedded.packets.properties import Owner, write_properties
from broker.embedded.packets.writer3 import ACKNOWLEDGEMENT, PINGRESP, encoded_topic, first_byte

_REASONS = {
    ConnackCode.ACCEPTED: ReasonCode.SUCCESS,
    ConnackCode.VERSION: ReasonCode.UNSUPPORTED_VERSION,
    ConnackCode.IDENTIFIER: ReasonCode.CLIENT_ID_NOT_VALID,
    ConnackCode.UNAVAILABLE: ReasonCode.SERVER_UNAVAILABLE,
    ConnackCode.CREDENTIALS: ReasonCode.NOT_AUTHORIZED,
    ConnackCode.NOT_AUTHORIZED: ReasonCode.NOT_AUTHORIZED,
    ConnackCode.METHOD: ReasonCode.BAD_AUTHENTICATION_METHOD,
}


# Sentences for a person who looks for the reason of a refusal.
_TEXTS = {
    ReasonCode.NOT_AUTHORIZED: "this account may not use that topic",
    ReasonCode.TOPIC_FILTER_INVALID: "not a valid topic filter",
    ReasonCode.QUOTA_EXCEEDED: "a limit of the broker is reached",
}
_ERRORS = 0x80
_NO_TOPIC = b"\0\0"


class Writer5:
    """Encoder of one connection.

    `topic_aliases` and `most_bytes`: how many aliases and how large packets the client takes.
    `tells_problems` is the request problem information: with 0 there are no reason strings, with 1
    they are in every packet, and without it in SUBACK alone.
    """

    def __init__(
        self,
        topic_aliases: int = 0,
        *,
        most_bytes: int | None = None,
        tells_problems: int | None = None,
    ) -> None:
        self._most_aliases = topic_aliases
        self._aliases: dict[str, int] = {}
        self.most_bytes = most_bytes
        self._tells_refusals = tells_problems != 0
        self._tells_all = tells_problems == 1

    def connack(self, connack: Connack) -> bytes:
        reason = _REASONS[connack.code] if connack.reason is None else connack.reason
        properties = connack.properties
        if properties.reason and not self._tells_all:
            properties = msgspec.structs.replace(properties, reason=None)
        fixed = bytes((connack.session_present, reason))
        packet = _packet(PacketType.CONNACK, fixed + write_properties(properties))
        if self._fitting(packet):
            return packet
        needed = Properties(
            session_expiry_s=properties.session_expiry_s,
            assigned_client_id=properties.assigned_client_id,
            server_keep_alive_s=properties.server_keep_alive_s,
            receive_maximum=properties.receive_maximum,
        )
        return self._fitting(_packet(PacketType.CONNACK, fixed + write_properties(needed)))

    def _fitting(self, packet: bytes) -> bytes:
        """Return a packet; nothing where it is larger than the client takes."""
        return packet if self.most_bytes is None or len(packet) <= self.most_bytes else b""

    def acknowledgement(self, kind: PacketType, packet_id: int, reason: int = 0) -> bytes:
        """Return a PUBACK, PUBREC, PUBREL or PUBCOMP; success needs no reason."""
        if not reason:
            return ACKNOWLEDGEMENT[kind] + UINT16.pack(packet_id)
        fixed = UINT16.pack(packet_id) + bytes((reason,))
        text = self._reason_string([reason]) if self._tells_all else b""
        return self._fitting(_packet(kind, fixed + text)) or _packet(kind, fixed)

    def suback(self, packet_id: int, codes: Sequence[int]) -> bytes:
        """Return a SUBACK with a reason code for each filter; empty where it is too large."""
        text = self._reason_string(codes)
        head, tail = UINT16.pack(packet_id), bytes(codes)
        if text:
            packet = self._fitting(_packet(PacketType.SUBACK, head + text + tail))
            if packet:
                return packet
        return self._fitting(_packet(PacketType.SUBACK, head + b"\0" + tail))

    def unsuback(self, packet_id: int, codes: Sequence[int]) -> bytes:
        """Return an UNSUBACK with a reason code for each filter; empty where it is too large."""
        body = UINT16.pack(packet_id) + b"\0" + bytes(codes)
        return self._fitting(_packet(PacketType.UNSUBACK, body))

    def pingresp(self) -> bytes:
        return PINGRESP

    def disconnect(self, reason: int, text: str = "") -> bytes | None:
        """Return a DISCONNECT of the broker with its reason."""
        fixed = bytes((reason,))
        if text and self._tells_all:
            fixed += write_properties(Properties(reason=text))
        return self._fitting(_packet(PacketType.DISCONNECT, fixed)) or None

    def publish(self, message: Publish, packet_id: int = 0, *, dup: bool = False) -> bytes:
        """Return a PUBLISH of `message` under a packet id of the receiver's session.

        It is empty where the client does not take so large a packet (MQTT-3.1.2-24). A topic alias
        is made at QoS 0 and 1, whose packets are sent before any that this returns later.
        """
        topic, properties = encoded_topic(message.topic), message.properties
        if self._most_aliases:
            topic, properties = self._alias(message)
        flags = dup << 3 | message.qos << 1 | message.retain
        ids = UINT16.pack(packet_id) if message.qos else b""
        fields = write_properties(properties, Owner.PUBLISH)
        length = encode_length(len(topic) + len(ids) + len(fields) + len(message.payload))
        first = bytes((PacketType.PUBLISH << 4 | flags,))
        packet = b"".join((first, length, topic, ids, fields, message.payload))
        if self.most_bytes is None or len(packet) <= self.most_bytes:
            return packet
        if properties.topic_alias is not None and topic != _NO_TOPIC:
            # The client does not hear of the alias that was made for it.
            del self._aliases[message.topic]
        return b""

    def _alias(self, message: Publish) -> tuple[bytes, Properties]:
        """Return the topic and the properties, with a topic alias where there is one."""
        topic, properties = encoded_topic(message.topic), message.properties
        alias = self._aliases.get(message.topic)
        if alias is not None:
            return _NO_TOPIC, msgspec.structs.replace(properties, topic_alias=alias)
        if message.qos < 2 and len(self._aliases) < self._most_aliases:
            alias = self._aliases[message.topic] = len(self._aliases) + 1
            properties = msgspec.structs.replace(properties, topic_alias=alias)
        return topic, properties

    def _reason_string(self, codes: Sequence[int]) -> bytes:
        """Return the properties with the reason of the first refusal; empty where there is none."""
        refused = [code for code in codes if code >= _ERRORS]
        text = _TEXTS.get(ReasonCode(refused[0])) if refused else None
        return write_properties(Properties(reason=text)) if text and self._tells_refusals else b""


def publish_bytes(message: Publish) -> int:
    """Return the size of a PUBLISH without a topic alias."""
    return len(Writer5().publish(message, 1))


def _packet(kind: PacketType, body: bytes) -> bytes:
    return bytes((first_byte(kind),)) + encode_length(len(body)) + body
