"""Reader and writer of MQTT 5: each reads what the other writes, and any bytes without a crash."""

import functools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.embedded.packets.connect import parse_connect
from broker.embedded.packets.fields import Body, encode_text
from broker.embedded.packets.framer import Framer
from broker.embedded.packets.model import (
    Acknowledgement,
    Connack,
    ConnackCode,
    Disconnect,
    Filter,
    PacketType,
    Properties,
    Publish,
    ReasonCode,
    ViolationError,
)
from broker.embedded.packets.properties import (
    MAX_USER_PROPERTIES,
    Owner,
    read_properties,
    write_properties,
)
from broker.embedded.packets.reader5 import Reader5
from broker.embedded.packets.writer5 import Writer5

TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="+#"), max_size=20
)
TOPICS = TEXTS.filter(bool)
OF_A_MESSAGE = st.builds(
    Properties,
    payload_format=st.none() | st.integers(0, 1),
    message_expiry_s=st.none() | st.integers(0, 2**32 - 1),
    content_type=st.none() | TEXTS,
    response_topic=st.none() | TOPICS,
    correlation_data=st.none() | st.binary(max_size=20),
    user=st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
)
MESSAGES = st.builds(
    Publish,
    TOPICS,
    st.binary(max_size=200),
    st.integers(0, 2),
    st.booleans(),
    st.integers(1, 65_535),
    OF_A_MESSAGE,
)
ALIASES = 4


def body_of(packet: bytes) -> tuple[int, bytes]:
    framer = Framer(100_000)
    framer.feed(packet)
    found = framer.next()
    assert found is not None
    return found.first_byte, found.body


@given(st.lists(MESSAGES, max_size=10), st.sampled_from([0, ALIASES]))
def test_what_is_published_is_read_also_under_topic_aliases(
    sent: list[Publish], aliases: int
) -> None:
    writer, reader = Writer5(aliases), Reader5(aliases)
    for message in sent:
        found = reader.publish(*body_of(writer.publish(message, message.packet_id)))
        assert (found.topic, found.payload, found.qos) == (
            message.topic,
            message.payload,
            message.qos,
        )
        assert found.packet_id == (message.packet_id if message.qos else 0)
        kept = Properties(**{**_fields(found.properties), "topic_alias": None})
        assert kept == message.properties


def _fields(properties: Properties) -> dict[str, object]:
    return {name: getattr(properties, name) for name in properties.__struct_fields__}


def test_a_topic_is_sent_once_under_an_alias() -> None:
    writer = Writer5(1)
    message = Publish("a/long/topic", b"x", 1, retain=False, packet_id=0)
    first, second = (writer.publish(message, number) for number in (1, 2))
    assert b"a/long/topic" in first
    assert b"a/long/topic" not in second
    other = Publish("other", b"x", 1, retain=False, packet_id=0)
    assert all(b"other" in writer.publish(other, number) for number in (3, 4))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_packet_or_a_violation(data: bytes) -> None:
    reader = Reader5(ALIASES)
    for parse in (
        lambda body: parse_connect(encode_text("MQTT") + b"\5" + body),
        reader.subscribe,
        reader.unsubscribe,
        functools.partial(reader.acknowledgement, PacketType.PUBACK),
        reader.disconnect,
        lambda body: reader.publish(0x32, body),
        lambda body: read_properties(Body(body), Owner.WILL),
    ):
        try:
            parse(data)
        except ViolationError:
            continue


@pytest.mark.parametrize(
    ("owner", "data", "text"),
    [
        (Owner.PUBLISH, b"\x02\x01\x02", "payload_format of 2"),
        (Owner.PUBLISH, b"\x04\x01\x00\x01\x00", "payload_format twice"),
        (Owner.PUBLISH, b"\x03\x21\x00\x01", "receive_maximum in a packet of type PUBLISH"),
        (Owner.CONNECT, b"\x03\x21\x00\x00", "receive_maximum of 0"),
        (Owner.SUBSCRIBE, b"\x02\x0b\x00", "subscription_ids of 0"),
        (Owner.CONNECT, b"\x03\x11\x00\x00", "ends within a field"),
        (Owner.CONNECT, b"\x01\x7f", "property 0x7f"),
    ],
)
def test_a_wrong_property_is_a_violation(owner: Owner, data: bytes, text: str) -> None:
    with pytest.raises(ViolationError, match=text):
        read_properties(Body(data), owner)


def test_a_connect_has_properties_of_its_own_and_of_its_will() -> None:
    of_will = write_properties(Properties(will_delay_s=5, content_type="text"))
    of_connect = write_properties(Properties(session_expiry_s=60, receive_maximum=3))
    body = encode_text("MQTT") + b"\x05\x06\x00\x1e" + of_connect
    body += encode_text("id") + of_will + encode_text("topic") + encode_text("gone")
    found = parse_connect(body)
    assert (found.version, found.client_id, found.keep_alive_s) == (5, "id", 30)
    assert found.properties == Properties(session_expiry_s=60, receive_maximum=3)
    assert found.will is not None
    assert (found.will.topic, found.will.payload) == ("topic", b"gone")
    assert found.will.properties == Properties(will_delay_s=5, content_type="text")


def test_reasons_are_read_and_written() -> None:
    writer, reader = Writer5(), Reader5(0)
    reason = ReasonCode.PACKET_ID_NOT_FOUND
    _, body = body_of(writer.acknowledgement(PacketType.PUBREL, 7, reason))
    assert reader.acknowledgement(PacketType.PUBREL, body) == Acknowledgement(7, reason)
    _, body = body_of(writer.acknowledgement(PacketType.PUBACK, 7))
    assert (len(body), reader.acknowledgement(PacketType.PUBACK, body)) == (2, Acknowledgement(7))
    goodbye = writer.disconnect(ReasonCode.SESSION_TAKEN_OVER)
    assert goodbye is not None
    assert goodbye == b"\xe0\x01\x8e"
    assert reader.disconnect(b"\x04\x05\x11\0\0\0\x09") == Disconnect(4, 9)
    refused = writer.connack(Connack(ConnackCode.NOT_AUTHORIZED))
    assert refused == b"\x20\x03\x00\x87\x00"


def test_options_of_a_subscription_are_read() -> None:
    body = b"\0\1" + b"\x02\x0b\x09" + encode_text("a/#") + b"\x2e" + encode_text("b") + b"\x00"
    found = Reader5(0).subscribe(body)
    assert found.filters == [Filter("a/#", 2, True, True, 2), Filter("b", 0)]
    assert (found.packet_id, found.subscription_id) == (1, 9)


@pytest.mark.parametrize("options", [0x03, 0x30, 0x40, 0x80])
def test_reserved_options_are_a_violation(options: int) -> None:
    with pytest.raises(ViolationError, match="subscription options"):
        Reader5(0).subscribe(b"\0\1\0" + encode_text("a") + bytes((options,)))


def test_an_alias_that_was_not_set_or_is_too_large_is_a_violation() -> None:
    reader = Reader5(ALIASES)
    for alias, reason in ((1, ReasonCode.PROTOCOL_ERROR), (5, ReasonCode.TOPIC_ALIAS_INVALID)):
        with pytest.raises(ViolationError) as caught:
            reader.publish(0x30, b"\0\0\3\x23\0" + bytes((alias,)))
        assert caught.value.reason is reason


def test_a_message_has_a_limited_number_of_user_properties() -> None:
    pairs = (("a", ""),) * MAX_USER_PROPERTIES
    body = write_properties(Properties(user=pairs))
    assert read_properties(Body(body), Owner.PUBLISH).user == pairs
    more = write_properties(Properties(user=(*pairs, ("b", ""))))
    with pytest.raises(ViolationError, match="more than 1000 user properties") as found:
        read_properties(Body(more), Owner.PUBLISH)
    assert found.value.reason == ReasonCode.QUOTA_EXCEEDED


def test_user_properties_count_for_what_they_take_in_memory() -> None:
    pairs = tuple((f"name {number}", f"value {number}") for number in range(100))
    taken = sys.getsizeof(pairs) + sum(
        sys.getsizeof(pair) + sum(map(sys.getsizeof, pair)) for pair in pairs
    )
    assert 0.9 * taken < Properties(user=pairs).size_bytes < 1.1 * taken
