"""Framer: a byte stream is split into packets, whose length is checked first."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.embedded.packets.framer import Framer
from broker.embedded.packets.model import Publish, TooLargeError
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
    with pytest.raises(TooLargeError, match="101 bytes, at most 100"):
        framer.next()
