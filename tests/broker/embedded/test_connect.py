"""CONNECT: accepted and refused clients; a refused one changes nothing and leaves nothing."""

import asyncio
import threading

import pytest

from broker.auth.gate import Attempt, Identity, Role
from broker.embedded.statistics import BrokerSnapshot
from tests.broker.embedded.gates import OwnTopics, Passwords
from tests.broker.embedded.raw import (
    CONNACK,
    PUBCOMP,
    SUBACK,
    RawClient,
    binary,
    connect,
    packet,
    uint16,
)
from tests.broker.embedded.running import Running, open_sockets, running
from tests.broker.embedded.switch import ours_only
from tests.support import OpenGate

NAME_PASSWORD = {"username": "victim", "password": b"right"}


@pytest.mark.parametrize("clean", [False, True])
def test_a_wrong_password_touches_nobody(clean: bool) -> None:
    with running(Passwords()) as broker:
        victim = broker.client("victim", clean=False, **NAME_PASSWORD)
        victim.subscribe(("t", 1), ("w", 1))
        pub = broker.client("pub", username="pub", password=b"right")
        will = ("w", b"forged", 1, True)
        with broker.raw() as thief:
            code = thief.connect(
                "victim", clean=clean, will=will, username="victim", password=b"wrong"
            )
            assert code == 5
            assert thief.is_closed()
        pub.publish("t", b"still here")
        assert [m.payload for m in victim.take_rest(1)] == [b"still here"]
        pub.subscribe(("w", 1))
        assert pub.take_rest() == []
        victim.reset()
        pub.publish("t", b"queued")
        with broker.raw() as thief:
            thief.connect("victim", clean=clean)
        with broker.client("victim", clean=False, **NAME_PASSWORD) as again:
            assert [m.payload for m in again.take_rest(1)] == [b"queued"]


def test_refused_connects_leave_no_session() -> None:
    with running(Passwords()) as broker:
        for n in range(100):
            with broker.raw() as client:
                assert client.connect(f"c{n}", username="x", password=b"wrong") == 5
        assert broker.sessions() == 0


def test_another_user_s_client_id_is_another_session() -> None:
    with running(OwnTopics()) as broker:
        hub = broker.client("hub", clean=False, username="boss")
        hub.subscribe(("node1/#", 1))
        with broker.client("hub", clean=True, username="node1") as thief:
            thief.publish("node1/x", b"heard")
            assert [m.payload for m in hub.take_rest(1)] == [b"heard"]


def test_a_will_must_be_for_a_topic_that_the_client_may_publish_to() -> None:
    with running(OwnTopics()) as broker, broker.client("boss") as boss:
        boss.subscribe(("#", 1))
        with broker.raw() as node:
            node.connect("node1", will=("node2/reading", b"forged", 1, True))
        broker.client("node1", will=("node1/status", b"own", 1, False)).reset()
        assert [m.topic for m in boss.take_rest(1)] == ["node1/status"]


def test_what_a_client_may_not_publish_is_acknowledged_and_dropped() -> None:
    with running(OwnTopics()) as broker, broker.client("boss") as boss:
        boss.subscribe(("#", 1))
        with broker.client("node1") as node:
            node.publish("node2/reading", b"forged", retain=True)
            node.publish("node1/reading", b"own")
        assert [m.topic for m in boss.take_rest(1)] == ["node1/reading"]


def test_a_refused_filter_is_told_and_the_others_are_granted() -> None:
    with running(OwnTopics()) as broker, broker.client("node1") as node:
        assert node.subscribe(("node2/#", 1), ("node1/#", 1), ("a#", 0)) == [0x80, 1, 0x80]


def test_a_filter_that_matches_more_delivers_only_what_may_be_read() -> None:
    with running(OwnTopics()) as broker, broker.client("boss") as boss:
        boss.publish("node2/secret", b"old", retain=True)
        boss.publish("node1/own", b"old", retain=True)
        with broker.client("node1") as node:
            assert node.subscribe(("+/secret", 1), ("+/own", 1)) == [1, 1]
            boss.publish("node2/secret", b"new")
            boss.publish("node1/own", b"new")
            found = [(m.topic, m.payload) for m in node.take_rest(2)]
            assert found == [("node1/own", b"old"), ("node1/own", b"new")]


def test_nobody_gets_a_retained_message_that_it_did_not_ask_for() -> None:
    with running() as broker, broker.client("hub") as hub:
        hub.subscribe(("secret/#", 1))
        hub.publish("secret/cfg", b"x", retain=True)
        with broker.client("stranger") as stranger, broker.client("kept", clean=False) as kept:
            assert stranger.take_rest() == []
            assert kept.take_rest() == []


@ours_only
def test_a_revoked_client_is_cut_off_at_once_and_forgotten() -> None:
    gate = OwnTopics()
    with running(gate) as broker:
        node = broker.client("node1", clean=False)
        other = broker.client("node1", clean=True, username="node2")
        node.subscribe(("node1/#", 1))
        gate.revoked.add("node1")
        assert broker.call(lambda: broker.broker.disconnect("node1")) == 1  # type: ignore[union-attr]
        assert node.is_closed()
        other.ping()
        assert broker.sessions() == 1


def test_a_right_that_is_withdrawn_ends_with_the_next_message() -> None:
    gate = OwnTopics()
    with running(gate) as broker, broker.client("node1") as node, broker.client("boss") as boss:
        node.subscribe(("node1/#", 1))
        boss.publish("node1/a", b"1")
        assert node.take(1)[0].payload == b"1"
        gate.revoked.add("node1")
        boss.publish("node1/a", b"2")
        assert node.take_rest() == []


class Slow(OpenGate):
    """Takes its time over `slow`, as hashing a password does."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def authenticate(self, attempt: Attempt) -> Identity | None:
        if attempt.client_id == "slow":
            await self.may_end.wait()
        return Identity("anyone", Role.HUB)


def test_who_is_being_identified_keeps_nobody_waiting() -> None:
    gate = Slow()
    with running(gate) as broker, broker.raw() as slow:
        slow.send(connect("slow"))
        with broker.client("quick") as quick:
            quick.ping()
        broker.call(gate.may_end.set)
        assert slow.read() is not None


@ours_only
def test_the_gate_is_told_who_asks_and_from_where() -> None:
    gate = Passwords()
    with running(gate) as broker:
        broker.client("c", username="u", password=b"right").disconnect()
    attempt = gate.attempts[0]
    assert (attempt.client_id, attempt.username, attempt.password) == ("c", "u", b"right")
    assert (attempt.address, attempt.is_local) == ("127.0.0.1", True)
    assert "right" not in repr(attempt)


def test_a_socket_that_says_nothing_is_closed() -> None:
    with running(connect_timeout_s=0.3) as broker, broker.raw() as silent:
        assert silent.is_closed()


def test_one_that_says_half_a_connect_is_closed_too() -> None:
    with running(connect_timeout_s=0.3) as broker, broker.raw() as half:
        half.send(connect("half")[:9])
        assert half.is_closed()


@ours_only
def test_a_connect_that_came_before_the_deadline_counts_although_the_loop_is_late() -> None:
    whole = connect("patient")
    with running(connect_timeout_s=60) as broker, broker.raw() as client:
        client.send(whole[:9])
        broker.wait_until(lambda: _snapshot(broker).bytes.received == 9)

        def send_and_be_late() -> None:
            client.send(whole[9:])
            # The loop finds the packet and the expired timer in the same round.
            broker.advance_within(61)

        broker.call(send_and_be_late)
        assert client.expect(CONNACK) == b"\0\0"
        assert not any(_snapshot(broker).refused.values())


@ours_only
def test_rounds_that_take_longer_than_the_deadline_refuse_nobody_who_has_sent_a_connect() -> None:
    are_served = threading.Event()
    with running(connect_timeout_s=5) as broker:

        def be_late() -> None:
            if not are_served.is_set():
                broker.advance_within(6)
                broker.loop.call_soon(be_late)

        def begin() -> list[RawClient]:
            clients = [broker.raw() for _ in range(20)]
            for n, client in enumerate(clients):
                client.send(connect(f"c{n}"))
            be_late()
            return clients

        try:
            answers = [client.expect(CONNACK) for client in broker.call(begin)]
        finally:
            are_served.set()
        assert answers == [b"\0\0"] * 20
        assert not any(_snapshot(broker).refused.values())


def _snapshot(broker: Running) -> BrokerSnapshot:
    snapshot = broker.call(broker.broker.snapshot)  # type: ignore[arg-type]
    assert isinstance(snapshot, BrokerSnapshot)
    return snapshot


def test_one_connection_too_many_is_turned_away_at_once_and_the_next_place_is_free() -> None:
    with running(connections=3) as broker:
        first, *others = [broker.client(f"c{n}") for n in range(3)]
        with broker.raw() as turned_away:
            assert turned_away.is_closed()
        first.disconnect()
        broker.wait_until(lambda: broker.sessions() == 2)
        with broker.client("late") as late:
            late.ping()
        assert all(not other.is_closed(0.05) for other in others)


@ours_only
def test_who_closes_and_connects_again_finds_its_place_free() -> None:
    with running(connections=1) as broker:
        client = broker.client("c")

        def come_again() -> RawClient:
            # The broker sees the end after the new connection, in one round of its loop.
            again = broker.raw()
            client.sock.close()
            return again

        assert broker.call(come_again).connect("c") == 0


@ours_only
def test_one_address_has_its_own_bound() -> None:
    with running(connections_per_address=2) as broker:
        broker.client("a")
        broker.client("b")
        assert broker.raw().is_closed()


def test_no_place_is_lost_to_who_breaks_off() -> None:
    with running(connections=20) as broker:
        before = open_sockets()
        for n in range(60):
            client = broker.raw()
            client.send(connect(f"v5-{n}", level=5))
            client.reset()
            with broker.raw() as quick:
                quick.send(connect(f"q{n}"))

        def comes_in() -> bool:
            with broker.raw() as client:
                return client.connect("legitimate") == 0

        # Some that broke off may not even have been accepted yet.
        broker.wait_until(comes_in)
        broker.wait_until(lambda: open_sockets() <= before)


def test_who_connects_and_closes_at_once_leaves_no_socket_and_no_session() -> None:
    with running() as broker:
        before = open_sockets()
        for n in range(100):
            client = broker.raw()
            client.send(connect(f"c{n}"))
            client.reset() if n % 2 else client.sock.close()
        broker.wait_until(lambda: open_sockets() <= before)
        assert broker.sessions() == 0


def test_another_version_is_refused_with_its_code() -> None:
    with running() as broker:
        # The codes of MQTT 3.1.1 and, for a later version, of MQTT 5.
        for level, code in ((2, 1), (3, 1), (6, 0x84), (0x85, 0x84)):
            with broker.raw() as client:
                assert client.connect("c", level=level) == code
                assert client.is_closed()


@ours_only
def test_a_client_of_mqtt_3_1_is_served_and_has_to_name_itself() -> None:
    with running() as broker:
        with broker.raw() as nameless:
            assert nameless.connect("", level=3, name=b"MQIsdp") == 2
        client = broker.client("old", level=3, name=b"MQIsdp")
        client.subscribe(("t", 2))
        client.publish("t", b"x", qos=2)
        assert [(message.payload, message.qos) for message in client.take(1)] == [(b"x", 2)]


@ours_only
def test_a_client_of_mqtt_3_1_repeats_packets_with_dup() -> None:
    with running() as broker:
        client = broker.client("old", level=3, name=b"MQIsdp", clean=False)
        client.send(packet(0x8A, uint16(1) + binary(b"t") + b"\1"))
        client.expect(SUBACK)
        client.send(packet(0x6A, uint16(7)))
        assert client.expect(PUBCOMP) == uint16(7)
        client.disconnect()
        again = broker.client("old", level=3, name=b"MQIsdp", clean=False)
        assert not again.session_present
        broker.client("mouth").publish("t", b"x")
        assert [message.payload for message in again.take(1)] == [b"x"]
        new = broker.client("new")
        new.send(packet(0x6A, uint16(7)))
        assert new.is_closed()


def test_a_client_without_an_id_must_want_a_clean_session() -> None:
    with running() as broker:
        with broker.raw() as kept:
            assert kept.connect("", clean=False) == 2
            assert kept.is_closed()
        with broker.client("", clean=True) as one, broker.client("", clean=True) as other:
            one.ping()
            other.ping()


@ours_only
def test_sessions_to_be_kept_are_bounded_and_a_user_s_oldest_goes_first() -> None:
    with running(OwnTopics(), sessions=2) as broker:
        broker.client("s1", clean=False, username="node1").disconnect()
        broker.client("s2", clean=False, username="node1").disconnect()
        with broker.raw() as other:
            assert other.connect("s3", clean=False, username="node2") == 3
        broker.client("s4", clean=False, username="node1").disconnect()
        assert broker.sessions() == 2
        assert broker.client("s2", clean=False, username="node1").session_present
        with broker.client("s3", clean=True, username="node2") as clean:
            clean.ping()


@ours_only
def test_subscriptions_of_a_client_are_bounded() -> None:
    with running(subscriptions_per_client=2) as broker, broker.client("c") as client:
        assert client.subscribe(("a", 0), ("b", 0), ("c", 0)) == [0, 0, 0x80]
        assert client.subscribe(("a", 1)) == [1]


MALFORMED = {
    "NUL in the client id": connect("a\0b"),
    "no UTF-8 in the client id": connect(b"a\xff"),
    "half a surrogate pair": connect(b"\xed\xa0\x80"),
    "reserved flag": connect("c", flags=1),
    "will QoS without a will": connect("c", flags=8),
    "will at QoS 3": connect("c", will=("w", b"", 3, False)),
    "password without a user": connect("c", password=b"x"),
    "more than its fields": packet(0x10, connect("c")[2:] + b"x"),
    "flags of the packet": packet(0x11, connect("c")[2:]),
    "another protocol": b"\x10\x0f\0\4HTTP\4\2\0\0\0\3abc",
    "will with a wildcard": connect("c", will=("w/#", b"", 0, False)),
    "no CONNECT": b"\xc0\0",
    "reserved type": b"\xf0\0",
    "random": bytes(range(16, 64)),
    "length of five bytes": b"\x10\xff\xff\xff\xff\x01",
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_connect_is_closed_without_an_answer(what: str) -> None:
    with running() as broker:
        with broker.raw() as client:
            client.send(MALFORMED[what])
            assert client.read() is None
        assert broker.sessions() == 0
