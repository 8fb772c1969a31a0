"""Framer: a byte stream is split into packets, whose length is checked first."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.embedded.packets.framer import Framer
from broker.embedded.packets.model import Packet, PacketType, Publish, TooLargeError, ViolationError
from broker.embedded.packets.reader3 import Reader3
from broker.embedded.packets.writer3 import Writer3

topics = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="+#"), min_size=1, max_size=20
)
publishes = st.builds(
    Publish,
    topics,
    st.binary(max_size=300),
    st.integers(0, 1),
    st.booleans(),
    st.integers(1, 65_535),
)


@given(st.lists(publishes, max_size=8), st.lists(st.integers(1, 50), min_size=1))
def test_a_stream_is_cut_into_its_packets_however_it_arrives(
    sent: list[Publish], sizes: list[int]
) -> None:
    stream = b"".join(Writer3().publish(message, message.packet_id) for message in sent)
    framer = Framer(1_000)
    read, reader = [], Reader3()
    at = 0
    for size in itertools.cycle(sizes):
        framer.feed(stream[at : at + size])
        at += size
        while (packet := framer.next()) is not None:
            read.append(reader.publish(packet.first_byte, packet.body))
        if at >= len(stream):
            break
    assert [(m.topic, m.payload, m.qos, m.retain) for m in read] == [
        (m.topic, m.payload, m.qos, m.retain) for m in sent
    ]
    assert [m.packet_id for m in read] == [m.packet_id if m.qos else 0 for m in sent]


def test_a_length_is_judged_before_the_body_comes() -> None:
    framer = Framer(100)
    framer.feed(b"\x30\x65")
    with pytest.raises(TooLargeError, match="103 bytes, at most 100"):
        framer.next()


@pytest.mark.parametrize(("most_bytes", "head"), [(100, b"\x30\x62"), (203, b"\x30\xc8\x01")])
def test_the_size_of_a_packet_counts_its_type_and_length(most_bytes: int, head: bytes) -> None:
    body = bytes(most_bytes - len(head))
    whole, too_large = Framer(most_bytes), Framer(most_bytes - 1)
    whole.feed(head + body)
    too_large.feed(head)
    found = whole.next()
    assert found is not None
    assert found.body == body
    with pytest.raises(TooLargeError, match=f"{most_bytes} bytes, at most {most_bytes - 1}"):
        too_large.next()


def test_a_length_of_mqtt_5_has_no_byte_that_it_does_not_need() -> None:
    framers = Framer(100), Framer(100)
    framers[0].allow(100)
    framers[1].allow(100, is_5=True)
    for framer in framers:
        framer.feed(b"\xc0\x80\x00")
    assert framers[0].next() == Packet(PacketType.PINGREQ, 0xC0, b"")
    with pytest.raises(ViolationError, match="more bytes than it needs"):
        framers[1].next()
