"""Reader of MQTT 3.1.1: decodes the packets that clients send; strict."""

from broker.embedded.packets.fields import (
    UINT16,
    Body,
    check_count,
    decode_text,
    packet_id_error,
    publish_qos,
)
from broker.embedded.packets.model import (
    Acknowledgement,
    Disconnect,
    Filter,
    Publish,
    Subscribe,
    Unsubscribe,
    ViolationError,
)
from broker.embedded.topics.names import valid_topic, well_formed

# Topics that a connection keeps decoded, and their greatest length in bytes.
_MAX_TOPICS = 128
_MAX_TOPIC_BYTES = 128


class Reader3:
    """Decoder of one connection's packets from the CONNECT on. Methods raise ViolationError.

    Subscriptions of a bridge have no local and retain as published, as with Mosquitto: its messages
    do not come back to it, and those it takes stay retained.
    """

    __slots__ = ("_is_bridge", "_topics")

    def __init__(self, *, is_bridge: bool = False) -> None:
        self._is_bridge = is_bridge
        self._topics: dict[bytes, str] = {}

    def publish(self, first_byte: int, body: bytes) -> Publish:
        """Decode a PUBLISH, whose flags are in the first byte."""
        qos = publish_qos(first_byte)
        size = len(body)
        if size < 2:
            raise ViolationError("a packet that ends within a field")
        end = payload_at = 2 + (body[0] << 8 | body[1])
        if qos:
            payload_at += 2
        if payload_at > size:
            raise ViolationError("a packet that ends within a field")
        packet_id = body[end] << 8 | body[end + 1] if qos else 0
        if qos and not packet_id:
            raise packet_id_error()
        topic = self.topic(body[2:end])
        return Publish(topic, body[payload_at:], qos, bool(first_byte & 1), packet_id)

    def acknowledgement(self, _kind: int, body: bytes) -> Acknowledgement:
        """Decode a PUBACK, PUBREC, PUBREL or PUBCOMP, which is a packet id."""
        if len(body) != UINT16.size:
            raise ViolationError("an acknowledgement of another size than two bytes")
        packet_id = body[0] << 8 | body[1]
        if not packet_id:
            raise packet_id_error()
        return Acknowledgement(packet_id)

    def subscribe(self, data: bytes) -> Subscribe:
        body = Body(data)
        packet_id = body.packet_id()
        filters = []
        while not body.is_at_end:
            text, qos = body.text(), body.byte()
            if qos > 2:
                raise ViolationError(f"a SUBSCRIBE with QoS byte {qos:#x} (MQTT-3-8.3-4)")
            check_filter(text)
            filters.append(Filter(text, qos, self._is_bridge, self._is_bridge))
            check_count(filters)
        if not filters:
            raise ViolationError("a SUBSCRIBE without a filter (MQTT-3.8.3-3)")
        return Subscribe(packet_id, filters)

    def unsubscribe(self, data: bytes) -> Unsubscribe:
        body = Body(data)
        packet_id = body.packet_id()
        filters = []
        while not body.is_at_end:
            filters.append(body.text())
            check_filter(filters[-1])
            check_count(filters)
        if not filters:
            raise ViolationError("an UNSUBSCRIBE without a filter (MQTT-3.10.3-2)")
        return Unsubscribe(packet_id, filters)

    def disconnect(self, data: bytes) -> Disconnect:
        """Decode a DISCONNECT, which has no body."""
        Body(data).end()
        return Disconnect()

    def topic(self, encoded: bytes) -> str:
        """Return a topic name, which is remembered decoded and checked."""
        return self._topics.get(encoded) or self._decode_topic(encoded)

    def _decode_topic(self, encoded: bytes) -> str:
        topic = decode_text(encoded)
        if not valid_topic(topic):
            raise ViolationError("a PUBLISH to an invalid topic (MQTT-3.3.2-2, MQTT-4.7.3-1)")
        if len(encoded) <= _MAX_TOPIC_BYTES:
            if len(self._topics) >= _MAX_TOPICS:
                self._topics.clear()
            self._topics[encoded] = topic
        return topic


def check_filter(text: str) -> None:
    """Raise ViolationError where a topic filter is empty, too long or has control characters.

    Wildcards at a wrong place are refused in the SUBACK.
    """
    if not well_formed(text):
        raise ViolationError("a topic filter that is empty, too long or no text (MQTT-4.7.3-1)")
