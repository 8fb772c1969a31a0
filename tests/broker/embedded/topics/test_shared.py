"""Shared subscriptions: one member of a group receives each message."""

import itertools
from collections import Counter
from pathlib import Path

import pytest

from tests.broker.embedded.conftest import WallClock
from tests.broker.embedded.gates import OwnTopics
from tests.broker.embedded.raw import RawClient
from tests.broker.embedded.running import Running, running
from tests.broker.embedded.switch import ours_only
from tests.broker.embedded.version5.raw5 import client5

pytestmark = ours_only

SHARED = "$share/workers/t/#"


def _members(broker: Running, *names: str, clean: bool = True) -> list[RawClient]:
    members = [broker.client(name, clean=clean) for name in names]
    for member in members:
        assert member.subscribe((SHARED, 1)) == [1]
    return members


def _publish(broker: Running, count: int) -> list[bytes]:
    publisher = broker.client("publisher")
    payloads = [b"%d" % n for n in range(count)]
    for payload in payloads:
        publisher.publish("t/x", payload)
    return payloads


def test_each_message_reaches_one_member_and_all_have_their_turn() -> None:
    with running() as broker:
        members = _members(broker, "a", "b", "c")
        everything = broker.client("everything")
        everything.subscribe(("t/x", 1))
        other_group = broker.client("other")
        other_group.subscribe(("$share/others/t/+", 1))
        sent = _publish(broker, 30)
        taken = [[message.payload for message in member.take_rest()] for member in members]
        assert sorted(itertools.chain(*taken), key=int) == sent
        assert [len(each) for each in taken] == [10, 10, 10]
        for whole in (everything, other_group):
            assert [message.payload for message in whole.take(30)] == sent


def test_what_a_dead_member_did_not_acknowledge_goes_to_another() -> None:
    with running(in_flight=3) as broker:
        dead, healthy = _members(broker, "dead", "healthy")
        sent = _publish(broker, 6)
        first = [message.payload for message in healthy.take_rest()]
        # It took some, and acknowledged none.
        dead.receive()
        dead.reset()
        rest = [message.payload for message in healthy.take(6 - len(first))]
        assert sorted(first + rest) == sent


def test_a_member_that_takes_nothing_slows_down_nobody() -> None:
    with running(in_flight=2, stalled_s=600) as broker:
        _, healthy = _members(broker, "deaf", "healthy")
        publisher = broker.client("publisher")
        for number in range(20):
            publisher.publish("t/x", b"%d" % number)
            # Two are at the deaf one.
            if number not in (0, 2):
                healthy.take(1)
        assert _queued(broker) == 0


def _queued(broker: Running) -> int:
    snapshot = broker.call(broker.broker.snapshot)  # type: ignore[arg-type]
    assert snapshot is not None
    return snapshot.stored.queued_messages


@pytest.mark.parametrize("clean", [True, False])
def test_an_absent_member_gets_nothing_while_another_is_there(clean: bool, tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:
        away, here = _members(broker, "away", "here", clean=clean)
        away.disconnect()
        sent = _publish(broker, 10)
        assert [message.payload for message in here.take(10)] == sent


def test_messages_wait_for_kept_members_when_all_are_away(tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:
        for member in _members(broker, "a", "b", clean=False):
            member.disconnect()
        sent = _publish(broker, 10)
        back = [broker.client(name, clean=False) for name in ("a", "b")]
        taken = [[message.payload for message in member.take_rest(5)] for member in back]
        assert sorted(itertools.chain(*taken)) == sent


def test_members_come_back_with_the_store(tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:
        _members(broker, "a", clean=False)
        assert broker.filters() == 1
    with running(store_dir=tmp_path) as broker:
        _publish(broker, 3)
        with broker.client("a", clean=False) as member:
            assert [message.payload for message in member.take(3)] == [b"0", b"1", b"2"]
            member.unsubscribe(SHARED)
            _publish(broker, 1)
            assert member.take_rest() == []
        assert broker.filters() == 0


@pytest.mark.parametrize("text", ["$share/", "$share/g", "$share/g/", "$share//t", "$share/+/t"])
def test_a_shared_filter_without_a_group_or_a_filter_is_refused(text: str) -> None:
    with running() as broker:
        assert broker.client("c").subscribe((text, 1), ("t", 1)) == [0x80, 1]


def test_a_group_gives_no_right_and_no_retained_message() -> None:
    with running(OwnTopics()) as broker:
        boss = broker.client("boss")
        boss.publish("a/kept", b"kept", retain=True)
        allowed, stranger = broker.client("a"), broker.client("b")
        assert stranger.subscribe(("$share/g/a/#", 1)) == [0x80]
        assert stranger.subscribe(("$share/g/+/#", 1)) == [1]
        assert allowed.subscribe(("$share/g/+/#", 1)) == [1]
        for number in range(4):
            boss.publish("a/x", b"%d" % number)
        taken = Counter(message.topic for message in allowed.take_rest(4))
        assert taken == {"a/x": 4}
        assert stranger.take_rest() == []


def test_what_no_other_member_may_receive_waits_for_its_kept_member(tmp_path: Path) -> None:
    with running(OwnTopics(), store_dir=tmp_path) as broker:
        allowed, stranger = broker.client("a", clean=False), broker.client("b")
        for member in (allowed, stranger):
            assert member.subscribe(("$share/g/+/#", 1)) == [1]
        broker.client("boss").publish("a/x", b"for a")
        allowed.receive()
        allowed.disconnect()
        with broker.client("a", clean=False) as again:
            assert [message.payload for message in again.take(1)] == [b"for a"]


def test_what_waited_for_a_session_goes_to_another_member_when_it_ends(tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:
        (away,) = _members(broker, "away", clean=False)
        away.disconnect()
        sent = _publish(broker, 3)
        (here,) = _members(broker, "here")
        assert here.take_rest() == []
        broker.client("away", clean=True)
        assert [message.payload for message in here.take(3)] == sent


def test_a_session_that_expires_gives_its_messages_to_one_that_is_kept(
    wall_clock: WallClock, tmp_path: Path
) -> None:
    with running(store_dir=tmp_path) as broker:
        for name, expiry_s in (("first", 10), ("second", 20), ("last", 1_000)):
            member = client5(broker, name, session_expiry_s=expiry_s)
            assert member.subscribe5((SHARED, 1)) == [1]
            member.leave()
        sent = _publish(broker, 9)
        # Two end in the same tick.
        wall_clock.advance(30)
        broker.wait_until(lambda: broker.filters() == 1)
        last = client5(broker, "last", clean=False, session_expiry_s=1_000)
        assert sorted(message.payload for message in last.take5(9)) == sent


def test_after_a_restart_a_member_that_leaves_gives_away_what_it_did_not_take(
    tmp_path: Path,
) -> None:
    with running(store_dir=tmp_path) as broker:
        (away,) = _members(broker, "away", clean=False)
        away.disconnect()
        sent = _publish(broker, 3)
    with running(store_dir=tmp_path) as broker:
        back, (here,) = broker.client("away", clean=False), _members(broker, "here")
        assert [message.payload for message in back.take(1)] == sent[:1]
        back.ping()
        back.reset()
        assert [message.payload for message in here.take(2)] == sent[1:]


def test_a_message_too_large_for_one_member_goes_to_another(tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:
        small = client5(broker, "small", maximum_packet_bytes=60, session_expiry_s=1_000)
        (any_size,) = _members(broker, "any-size", clean=False)
        assert small.subscribe5((SHARED, 1), identifier=300) == [1]
        publisher = broker.client("publisher")
        # The packet has 13 bytes more: flags and length, topic, packet id, identifier.
        for size in (47, 48):
            for _ in range(4):
                publisher.publish("t/x", bytes(size))
        assert [len(message.payload) for message in small.take5(2)] == [47, 47]
        assert small.rest5() == []
        assert [len(message.payload) for message in any_size.take(6)] == [47, 47, *[48] * 4]
        # What it does not acknowledge waits for it, as the other one does not take it.
        publisher.publish("t/x", bytes(48))
        any_size.receive()
        any_size.disconnect()
        with broker.client("any-size", clean=False) as again:
            assert [len(message.payload) for message in again.take(1)] == [48]
