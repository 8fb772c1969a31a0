"""The broker's parts that know no socket: packets, queues, counts of places, limited log lines."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.embedded.delivery import Delivery, Entry
from broker.embedded.net.admission import Admission
from broker.embedded.net.connection import Framer, TooLargeError
from broker.embedded.packets import decode, encode
from broker.embedded.packets.decode import Publish, ViolationError
from broker.embedded.statistics import Refusal

topics = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
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
    stream = b"".join(encode.publish(message, message.packet_id) for message in sent)
    framer = Framer(1_000)
    read = []
    at = 0
    for size in itertools.cycle(sizes):
        framer.feed(stream[at : at + size])
        at += size
        while (packet := framer.next()) is not None:
            read.append(decode.parse_publish(packet.first_byte, packet.body))
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


@given(st.binary(max_size=60))
def test_any_bytes_are_a_packet_or_a_violation(data: bytes) -> None:
    for parse in (
        decode.parse_connect,
        decode.parse_subscribe,
        decode.parse_unsubscribe,
        decode.parse_packet_id,
        lambda body: decode.parse_publish(0x32, body),
    ):
        try:
            parse(data)
        except ViolationError:
            continue


def entry(n: int, qos: int = 1) -> Entry:
    return Entry(Publish("t", b"%d" % n, qos, retain=False, packet_id=0))


def names(entries: list[Entry]) -> list[bytes]:
    return [each.message.payload for each in entries]


def test_a_full_queue_gives_up_the_oldest_of_qos_0_first() -> None:
    delivery = Delivery(in_flight=1, messages=3, size_bytes=1_000)
    assert delivery.put(entry(1)) == []
    assert delivery.put(entry(2, qos=0)) == []
    assert delivery.put(entry(3, qos=0)) == []
    assert names(delivery.put(entry(4))) == [b"2"]
    assert names(delivery.put(entry(5))) == [b"3"]
    assert names(delivery.put(entry(6, qos=0))) == [b"6"]
    assert names(delivery.put(entry(7))) == [b"1"]


def test_a_queue_is_bounded_in_bytes_too() -> None:
    delivery = Delivery(in_flight=1, messages=100, size_bytes=20)
    big = Entry(Publish("t", b"x" * 30, 1, retain=False, packet_id=0))
    assert delivery.put(big) == [big]
    for n in range(10):
        assert delivery.put(entry(n)) == []
    assert names(delivery.put(entry(10))) == [b"0", b"1"]
    assert delivery.waiting_bytes == 8 * 2 + 3


@given(st.lists(st.sampled_from(["put", "next", "ack", "rewind"]), max_size=80))
def test_whatever_happens_each_message_is_kept_until_it_is_acknowledged_in_order(
    steps: list[str],
) -> None:
    delivery = Delivery(in_flight=3, messages=100, size_bytes=10_000)
    put = 0
    out: dict[int, bytes] = {}
    firsts: list[bytes] = []
    done: list[bytes] = []
    for step in steps:
        if step == "put":
            delivery.put(entry(put))
            put += 1
        elif step == "next" and (sending := delivery.next()) is not None:
            payload = sending.entry.message.payload
            assert sending.dup == (payload in firsts)
            assert out.setdefault(sending.packet_id, payload) == payload
            if not sending.dup:
                firsts.append(payload)
        elif step == "ack" and out:
            packet_id = next(iter(out))
            acknowledged = delivery.acknowledge(packet_id)
            assert acknowledged is not None
            done.append(out.pop(packet_id))
        elif step == "rewind":
            delivery.rewind()
        assert len(out) == delivery.in_flight <= 3
        assert len(done) + len(out) + delivery.waiting == put
    assert firsts == [b"%d" % n for n in range(len(firsts))]


def test_places_are_counted_in_all_and_by_address() -> None:
    places = Admission(3, 2)
    assert [places.enter("a") for _ in range(3)] == [
        None,
        None,
        Refusal.ADDRESS,
    ]
    assert [places.enter("b"), places.enter("c")] == [None, Refusal.CONNECTIONS]
    places.leave("a")
    assert places.enter("c") is None
    assert places.count == 3
