"""Presence: keep alive, last wills, and take-over by a client that reconnects."""

import pytest

from tests.broker.embedded.raw import PINGREQ, PINGRESP, PUBACK, SUBACK, RawClient, publish
from tests.broker.embedded.running import running

WILL = ("will", b"gone", 1, False)
RETAINED_WILL = ("will", b"gone", 1, True)


def watcher(client: RawClient) -> RawClient:
    client.subscribe(("will", 1))
    return client


def test_a_silent_client_is_gone_after_one_and_a_half_keep_alives() -> None:
    with running() as broker, watcher(broker.client("watcher")) as ears:
        mute = broker.client("mute", keep_alive_s=40, will=WILL)
        broker.client("patient", keep_alive_s=80, will=("will", b"later", 1, False))
        # A test has 30 s for each step before it means another one.
        broker.advance(30)
        assert ears.take_rest() == []
        broker.advance(31)
        assert ears.receive().payload == b"gone"
        assert mute.is_closed()
        assert ears.take_rest() == []
        broker.advance(60)
        assert ears.receive().payload == b"later"


def test_a_client_that_pings_stays() -> None:
    with running() as broker, watcher(broker.client("watcher")) as ears:
        with broker.client("alive", keep_alive_s=60, will=WILL) as alive:
            for _ in range(3):
                broker.advance(60)
                alive.ping()
            alive.disconnect()
        assert ears.take_rest() == []


def test_a_client_whose_ping_came_while_the_broker_was_busy_stays() -> None:
    with running() as broker, watcher(broker.client("watcher")) as ears:
        alive = broker.client("alive", keep_alive_s=60, will=WILL)

        def hang() -> None:
            alive.send(PINGREQ)
            broker.advance_within(100)

        broker.call(hang)
        alive.expect(PINGRESP)
        alive.ping()
        alive.disconnect()
        assert ears.take_rest() == []


def test_a_broken_connection_leaves_a_will_and_a_goodbye_does_not() -> None:
    with running() as broker, watcher(broker.client("watcher")) as ears:
        broker.client("a", will=WILL).disconnect()
        broker.client("b", will=("will", b"b broke", 0, False)).reset()
        assert [m.payload for m in ears.take_rest(1)] == [b"b broke"]


def test_a_will_is_retained_where_it_says_so_also_on_a_session_that_goes_on() -> None:
    with running() as broker:
        broker.client("c", clean=False, will=WILL).disconnect()
        with watcher(broker.client("watcher")) as ears:
            broker.client("c", clean=False, will=RETAINED_WILL).reset()
            assert not ears.take(1)[0].retain
        with watcher(broker.client("late")) as late:
            assert late.take(1)[0].retain


@pytest.mark.parametrize("clean", [False, True])
def test_a_take_over_ends_the_old_connection_and_its_will_comes_before_the_new_birth(
    clean: bool,
) -> None:
    with running() as broker:
        old = broker.client("node", clean=clean, will=RETAINED_WILL)
        old.subscribe(("for/node", 1))
        with broker.client("node", clean=clean, will=RETAINED_WILL) as new:
            assert new.session_present is not clean
            new.publish("will", b"here", retain=True)
            assert old.is_closed()
            if clean:
                new.subscribe(("for/node", 1))
            with broker.client("other") as other:
                other.publish("for/node", b"hello")
                assert [m.payload for m in new.take_rest(1)] == [b"hello"]
                assert other.subscribe(("will", 1)) == [1]
                assert [m.payload for m in other.take_rest(1)] == [b"here"]


def test_a_hundred_take_overs_leave_one_client_that_hears() -> None:
    with running() as broker, broker.client("other") as other:
        clients = []
        for _ in range(100):
            clients.append(broker.client("node", clean=False))
            clients[-1].send(b"\x82\x06\0\1\0\1t\1")
        last = clients[-1]
        last.expect(SUBACK)
        other.publish("t", b"hello")
        assert last.take(1)[0].payload == b"hello"
        assert all(client.is_closed() for client in clients[:-1])
        assert broker.sessions() == 2


def test_a_second_connect_on_one_connection_ends_it() -> None:
    with running() as broker, watcher(broker.client("watcher")) as ears:
        client = broker.client("twice", will=WILL)
        assert client.connect("twice") is None
        assert ears.receive().payload == b"gone"


@pytest.mark.parametrize("topic", ["", "a/+", "a/#"])
def test_a_topic_that_is_none_closes_that_client_with_its_will_and_leaves_nothing(
    topic: str,
) -> None:
    with running() as broker, watcher(broker.client("watcher")) as ears:
        client = broker.client("lost", will=WILL)
        client.send(publish(topic, b"x", 1))
        assert client.is_closed()
        assert ears.receive().payload == b"gone"
        assert broker.sessions() == 1
        ears.ping()


@pytest.mark.parametrize("topic", ["$mine", "$SYS/broker/connection/bridge"])
def test_a_message_to_a_topic_of_the_broker_is_acknowledged_and_dropped(topic: str) -> None:
    with running() as broker, broker.client("c") as client, broker.client("ears") as ears:
        ears.subscribe(("$mine", 1), ("$SYS/broker/connection/#", 1))
        for qos, retain in ((1, True), (1, False)):
            client.send(publish(topic, b"x", qos, packet_id=5, retain=retain))
            assert client.expect(PUBACK) == b"\0\5"
        client.send(publish(topic, b"x", 0))
        client.ping()
        assert ears.take_rest() == []
        assert broker.sessions() == 2
        with broker.client("later") as later:
            later.subscribe(("$mine", 1), ("$SYS/broker/connection/#", 1))
            assert later.take_rest() == []
