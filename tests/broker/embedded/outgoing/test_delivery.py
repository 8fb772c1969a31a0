"""Delivery queue and in-flight window of one session."""

from hypothesis import given
from hypothesis import strategies as st

from broker.embedded.outgoing.delivery import Delivery
from broker.embedded.outgoing.entry import Entry
from broker.embedded.packets.model import Properties, Publish


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
            delivery.resend_in_flight()
        assert len(out) == delivery.in_flight <= 3
        assert len(done) + len(out) + delivery.waiting == put
    assert firsts == [b"%d" % n for n in range(len(firsts))]


def test_an_expired_message_uses_up_its_packet_id() -> None:
    delivery = Delivery(in_flight=1, messages=3, size_bytes=1_000)
    short = Properties(message_expiry_s=1)
    expiring = Entry(Publish("t", b"1", 1, retain=False, packet_id=0, properties=short))
    expiring.queued_ms = 1_000
    delivery.put(expiring)
    delivery.put(entry(2))
    assert names(delivery.expire(2_001)) == [b"1"]
    sending = delivery.next()
    assert sending is not None
    assert sending.packet_id == 2
