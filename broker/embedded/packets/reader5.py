"""Reader of MQTT 5: decodes the packets that clients send; strict."""

from collections.abc import Mapping

import msgspec

from broker.embedded.packets.fields import UINT16, Body, check_count, packet_id_error, publish_qos
from broker.embedded.packets.model import (
    NO_PROPERTIES,
    Acknowledgement,
    Disconnect,
    Filter,
    PacketType,
    Properties,
    Publish,
    ReasonCode,
    Subscribe,
    Unsubscribe,
    ViolationError,
)
from broker.embedded.packets.properties import Owner, check_response_topic, read_properties
from broker.embedded.packets.reader3 import Reader3
from broker.embedded.topics.names import valid_filter
from broker.embedded.topics.shared import PREFIX as SHARED
from broker.embedded.topics.shared import split as split_shared

# Bits of the subscription options that are reserved, section 3.8.3.1.
_RESERVED_OPTIONS = 0xC0
# Reason codes that clients may send, tables 3-4 to 3-7 and 3-10.
_OF_MESSAGES = frozenset({0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99})
_OF_HANDSHAKES = frozenset({ReasonCode.SUCCESS, ReasonCode.PACKET_ID_NOT_FOUND})
_REASONS: Mapping[int, frozenset[int]] = {
    PacketType.PUBACK: _OF_MESSAGES,
    PacketType.PUBREC: _OF_MESSAGES,
    PacketType.PUBREL: _OF_HANDSHAKES,
    PacketType.PUBCOMP: _OF_HANDSHAKES,
}
_REASONS_OF_DISCONNECT = frozenset(
    {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99}
)


class Reader5:
    """Decoder of one connection's packets from the CONNECT on. Methods raise ViolationError.

    `topic_aliases`: the greatest topic alias, which the client was told in the CONNACK.
    """

    def __init__(self, topic_aliases: int) -> None:
        self._reader3 = Reader3()
        self._most_aliases = topic_aliases
        self._aliases: dict[int, str] = {}

    def publish(self, first_byte: int, data: bytes) -> Publish:
        """Decode a PUBLISH, whose flags are in the first byte."""
        qos = publish_qos(first_byte)
        end = 2 + (data[0] << 8 | data[1]) if len(data) > 1 else 0
        at = end + 2 if qos else end
        if end > 2 and at < len(data) and not data[at]:
            return self._publish_without_properties(first_byte, data, end, at)
        return self._publish(first_byte, qos, Body(data))

    def _publish_without_properties(
        self, first_byte: int, data: bytes, end: int, at: int
    ) -> Publish:
        """Return a PUBLISH with a topic up to `end` and no properties, whose length is at `at`."""
        packet_id = data[end] << 8 | data[end + 1] if at > end else 0
        if at > end and not packet_id:
            raise packet_id_error()
        topic = self._reader3.topic(data[2:end])
        qos = first_byte >> 1 & 3
        return Publish(topic, data[at + 1 :], qos, bool(first_byte & 1), packet_id)

    def _publish(self, first_byte: int, qos: int, body: Body) -> Publish:
        encoded = body.binary()
        packet_id = body.packet_id() if qos else 0
        properties = read_properties(body, Owner.PUBLISH)
        if properties is NO_PROPERTIES:
            topic = self._reader3.topic(encoded)
        else:
            topic = self._topic(encoded, properties.topic_alias)
            properties = _of_message(properties)
        return Publish(topic, body.rest(), qos, bool(first_byte & 1), packet_id, properties)

    def acknowledgement(self, kind: int, data: bytes) -> Acknowledgement:
        """Decode a PUBACK, PUBREC, PUBREL or PUBCOMP; without a reason it is success."""
        if len(data) == UINT16.size:
            return self._reader3.acknowledgement(kind, data)
        body = Body(data)
        packet_id, reason = body.packet_id(), body.byte()
        if reason not in _REASONS[kind]:
            raise ViolationError(f"the reason code {reason:#x}", ReasonCode.PROTOCOL_ERROR)
        _read_rest(body, Owner.ANSWER)
        return Acknowledgement(packet_id, reason)

    def subscribe(self, data: bytes) -> Subscribe:
        body = Body(data)
        packet_id = body.packet_id(ReasonCode.MALFORMED_PACKET)
        ids = read_properties(body, Owner.SUBSCRIBE).subscription_ids
        if len(ids) > 1:
            raise ViolationError("two subscription identifiers", ReasonCode.PROTOCOL_ERROR)
        filters = []
        while not body.is_at_end:
            filters.append(_filter(body.text(), body.byte()))
            check_count(filters)
        if not filters:
            raise ViolationError("a SUBSCRIBE without a filter (MQTT-3.8.3-2)")
        return Subscribe(packet_id, filters, ids[0] if ids else 0)

    def unsubscribe(self, data: bytes) -> Unsubscribe:
        body = Body(data)
        packet_id = body.packet_id(ReasonCode.MALFORMED_PACKET)
        read_properties(body, Owner.UNSUBSCRIBE)
        filters = []
        while not body.is_at_end:
            filters.append(body.text())
            _check_filter(filters[-1])
            check_count(filters)
        if not filters:
            raise ViolationError("an UNSUBSCRIBE without a filter (MQTT-3.10.3-2)")
        return Unsubscribe(packet_id, filters)

    def disconnect(self, data: bytes) -> Disconnect:
        """Decode a DISCONNECT; without a reason it is a normal one."""
        body = Body(data)
        if body.is_at_end:
            return Disconnect()
        reason = body.byte()
        if reason not in _REASONS_OF_DISCONNECT:
            # The client reads nothing any more.
            raise ViolationError(f"the reason code {reason:#x}", None)
        properties = _read_rest(body, Owner.DISCONNECT)
        return Disconnect(reason, properties.session_expiry_s)

    def _topic(self, encoded: bytes, alias: int | None) -> str:
        if alias is None:
            return self._reader3.topic(encoded)
        if not 0 < alias <= self._most_aliases:
            raise ViolationError(f"the topic alias {alias}", ReasonCode.TOPIC_ALIAS_INVALID)
        if encoded:
            topic = self._aliases[alias] = self._reader3.topic(encoded)
            return topic
        known = self._aliases.get(alias)
        if known is None:
            raise ViolationError(f"the unknown topic alias {alias}", ReasonCode.PROTOCOL_ERROR)
        return known


def _of_message(properties: Properties) -> Properties:
    """Return the properties that go with a message to its receivers. Raises ViolationError."""
    if properties.subscription_ids:
        raise ViolationError(
            "a subscription identifier of a client (MQTT-3.3.4-6)", ReasonCode.PROTOCOL_ERROR
        )
    check_response_topic(properties)
    if properties.topic_alias is None:
        return properties
    # It is of this connection alone.
    others = msgspec.structs.replace(properties, topic_alias=None)
    return NO_PROPERTIES if others == NO_PROPERTIES else others


def _read_rest(body: Body, owner: Owner) -> Properties:
    """Return the properties, which may be absent with their length; nothing follows them."""
    properties = NO_PROPERTIES if body.is_at_end else read_properties(body, owner)
    body.end()
    return properties


def _check_filter(text: str) -> None:
    """Raise ViolationError where a topic filter is not well-formed."""
    if not valid_filter(text):
        raise ViolationError("an invalid topic filter (MQTT-4.7.1-1, MQTT-4.7.3-1)")
    if text.startswith(SHARED) and split_shared(text) is None:
        raise ViolationError(
            "an invalid shared subscription (MQTT-4.8.2-1, MQTT-4.8.2-2)", ReasonCode.PROTOCOL_ERROR
        )


def _filter(text: str, options: int) -> Filter:
    qos, retain_handling = options & 3, options >> 4 & 3
    if qos == 3 or retain_handling == 3 or options & _RESERVED_OPTIONS:
        raise ViolationError(f"subscription options {options:#x}")
    _check_filter(text)
    no_local = bool(options & 4)
    if no_local and text.startswith(SHARED):
        raise ViolationError(
            "a shared subscription with no local (MQTT-3.8.3-4)", ReasonCode.PROTOCOL_ERROR
        )
    return Filter(text, qos, no_local, bool(options & 8), retain_handling)
