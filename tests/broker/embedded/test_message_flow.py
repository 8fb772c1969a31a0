"""Message flow over real sockets: subscriptions, QoS, order, redelivery."""

import threading

import pytest

from tests.broker.embedded.raw import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    RawClient,
    connect,
    packet,
    publish,
    subscribe,
    uint16,
)
from tests.broker.embedded.running import Running, running
from tests.broker.embedded.switch import STOCK
from tests.support import WAIT_S

# amqtt gives up on an acknowledgement after five seconds.
_PATIENCE_S = 5.5 if STOCK else 0.3


def kept(broker: Running, client_id: str, *filters: tuple[str, int]) -> RawClient:
    client = broker.client(client_id, clean=False)
    if filters:
        client.subscribe(*filters)
    return client


def test_what_was_not_acknowledged_comes_again_in_order_and_marked() -> None:
    with running() as broker, broker.client("pub") as pub:
        sub = kept(broker, "sub", ("t", 1))
        for n in range(10):
            pub.publish("t", b"%d" % n)
        first = [sub.receive() for _ in range(10)]
        sub.reset()
        with kept(broker, "sub") as again:
            assert again.session_present
            second = again.take(10)
        assert [m.payload for m in second] == [b"%d" % n for n in range(10)]
        assert all(m.dup for m in second)
        assert [m.packet_id for m in second] == [m.packet_id for m in first]
        with kept(broker, "sub") as third:
            assert third.take_rest() == []


def test_a_client_that_takes_its_time_to_acknowledge_loses_nothing() -> None:
    with running() as broker, broker.client("pub") as pub:
        sub = kept(broker, "sub", ("t", 1))
        pub.publish("t", b"slow")
        sub.receive()
        threading.Event().wait(_PATIENCE_S)
        sub.reset()
        with kept(broker, "sub") as again:
            assert [m.payload for m in again.take_rest(1)] == [b"slow"]


def test_no_more_than_the_window_is_out_at_a_time() -> None:
    with running(in_flight=3) as broker, broker.client("pub") as pub, broker.client("sub") as sub:
        sub.subscribe(("t", 1))
        for n in range(7):
            pub.publish("t", b"%d" % n)
        sub.ping()
        assert [m.payload for m in sub.messages] == [b"0", b"1", b"2"]
        assert [m.payload for m in sub.take(7)] == [b"%d" % n for n in range(7)]


def test_messages_for_a_client_that_is_away_wait_for_it_in_order_unretained() -> None:
    with running() as broker, broker.client("pub") as pub:
        kept(broker, "sub", ("t", 1)).disconnect()
        for n in range(20):
            pub.publish("t", b"%d" % n)
        pub.publish("t", b"at most once", qos=0)
        with kept(broker, "sub") as sub:
            found = sub.take_rest(20)
    assert [m.payload for m in found] == [b"%d" % n for n in range(20)]
    assert not any(m.retain for m in found)


@pytest.mark.parametrize(("sent", "asked", "got"), [(0, 1, 0), (1, 0, 0), (1, 1, 1), (0, 0, 0)])
def test_the_lower_quality_of_service_counts(sent: int, asked: int, got: int) -> None:
    with running() as broker, broker.client("pub") as pub, broker.client("sub") as sub:
        sub.subscribe(("t", asked))
        pub.publish("t", b"x", qos=sent)
        assert sub.receive().qos == got


def test_each_quality_of_service_is_granted_as_asked() -> None:
    with running() as broker, broker.client("c") as client:
        assert client.subscribe(("a", 0), ("b", 1), ("c", 2)) == [0, 1, 2]


def test_a_message_of_qos_2_is_passed_on_once() -> None:
    with running() as broker, broker.client("pub") as pub, broker.client("sub") as sub:
        sub.subscribe(("t", 2))
        for dup in (False, True):
            pub.send(publish("t", b"once", 2, dup=dup, packet_id=9))
            assert pub.expect(PUBREC) == uint16(9)
        for _ in range(2):
            pub.send(packet(PUBREL << 4 | 2, uint16(9)))
            assert pub.expect(PUBCOMP) == uint16(9)
        pub.send(publish("t", b"next", 2, packet_id=9))
        pub.expect(PUBREC)
        pub.send(packet(PUBREL << 4 | 2, uint16(9)))
        pub.expect(PUBCOMP)
        found = sub.take(2)
        assert [(m.payload, m.qos) for m in found] == [(b"once", 2), (b"next", 2)]


def test_the_retain_flag_tells_old_from_new() -> None:
    with running() as broker, broker.client("pub") as pub, broker.client("sub") as sub:
        sub.subscribe(("t/+", 1))
        pub.publish("t/a", b"value", retain=True)
        live = sub.take(1)[0]
        assert (live.payload, live.retain) == (b"value", False)
        sub.subscribe(("t/a", 1))
        old = sub.take(1)[0]
        assert (old.payload, old.retain, old.qos) == (b"value", True, 1)
        pub.publish("t/a", b"", retain=True)
        assert sub.take(1)[0].payload == b""
        sub.subscribe(("t/a", 1))
        assert sub.take_rest() == []


def test_subscribing_again_replaces_the_quality_and_sends_what_is_retained() -> None:
    with running() as broker, broker.client("pub") as pub, broker.client("sub") as sub:
        pub.publish("t", b"old", retain=True)
        assert sub.subscribe(("t", 0)) == [0]
        assert sub.receive().qos == 0
        assert sub.subscribe(("t", 1)) == [1]
        assert sub.take(1)[0].retain
        pub.publish("t", b"new")
        assert [(m.payload, m.qos) for m in sub.take_rest(1)] == [(b"new", 1)]


def test_unsubscribing_leaves_nothing() -> None:
    with running() as broker, broker.client("pub") as pub, broker.client("sub") as sub:
        for n in range(50):
            sub.subscribe((f"t/{n}", 1))
            sub.unsubscribe(f"t/{n}")
        pub.publish("t/3", b"x")
        assert sub.take_rest() == []
        assert broker.filters() == 0


def test_overlapping_filters_give_one_message_at_the_best_quality() -> None:
    with running() as broker, broker.client("pub") as pub, broker.client("sub") as sub:
        sub.subscribe(("t/#", 1), ("t/+", 0))
        pub.publish("t/a", b"x")
        assert [m.qos for m in sub.take_rest(1)] == [1]


def test_a_wildcard_matches_no_topic_of_the_broker() -> None:
    with running(sys_interval_s=1.0) as broker, broker.client("sub") as sub:
        sub.subscribe(("#", 0), ("+/broker/uptime", 0))
        assert sub.take_rest(quiet_s=0.5) == []
        if not STOCK:
            sub.subscribe(("$SYS/broker/version", 0))
            assert sub.receive().topic == "$SYS/broker/version"


def test_acknowledgements_come_in_the_order_of_the_messages() -> None:
    with running() as broker, broker.client("pub") as pub:
        kept(broker, "away", ("t/stored", 1)).disconnect()
        topics = ["t/stored" if n % 3 else "t/free" for n in range(60)]
        burst = [publish(topic, b"", 1, packet_id=n + 1) for n, topic in enumerate(topics)]
        pub.send(b"".join(burst))
        assert [pub.expect(PUBACK) for _ in burst] == [uint16(n + 1) for n in range(60)]


def test_one_publisher_s_messages_stay_in_order() -> None:
    with running() as broker, broker.client("pub") as pub, broker.client("sub") as sub:
        sub.subscribe(("t", 1))
        count = 2_000
        taken: list[bytes] = []
        reader = threading.Thread(
            target=lambda: taken.extend(m.payload for m in sub.take(count)), daemon=True
        )
        reader.start()
        pub.send(b"".join(publish("t", b"%d" % n, 0) for n in range(count // 2)))
        for n in range(count // 2, count, 100):
            burst = [publish("t", b"%d" % i, 1, packet_id=i + 1) for i in range(n, n + 100)]
            pub.send(b"".join(burst))
            for _ in burst:
                pub.expect(PUBACK)
        reader.join(WAIT_S)
    assert taken == [b"%d" % n for n in range(count)]


def test_what_comes_with_the_connect_is_not_lost() -> None:
    with running() as broker, broker.client("pub") as pub, broker.raw() as sub:
        sub.send(connect("sub") + subscribe(("t", 1)))
        assert sub.read() == (0x20, b"\0\0")
        assert sub.read() == (0x90, b"\0\1\1")
        pub.publish("t", b"x")
        assert sub.receive().payload == b"x"
