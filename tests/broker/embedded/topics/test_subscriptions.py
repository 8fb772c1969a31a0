"""Cached routes: they follow each change of subscriptions and of accounts."""

from typing import cast

import pytest

from broker.auth.gate import Identity, Role
from broker.embedded import router
from broker.embedded.session import ClientSession
from broker.embedded.topics.grant import Grant
from broker.embedded.topics.subscriptions import Subscriptions
from tests.broker.embedded.gates import OwnTopics
from tests.broker.embedded.running import running
from tests.broker.embedded.switch import ours_only
from tests.support import OpenGate

pytestmark = ours_only


def test_a_route_follows_subscriptions_that_come_change_and_go() -> None:
    with running() as broker:
        publisher, ear, other = (broker.client(name) for name in ("publisher", "ear", "other"))
        publisher.publish("t", b"0")
        ear.subscribe(("t", 1))
        publisher.publish("t", b"1")
        other.subscribe(("+", 0))
        publisher.publish("t", b"2")
        ear.subscribe(("t", 0))
        publisher.publish("t", b"3")
        ear.unsubscribe("t")
        publisher.publish("t", b"4")
        assert [message.payload for message in other.take(3)] == [b"2", b"3", b"4"]
        other.disconnect()
        publisher.publish("t", b"5")
        heard = [(message.payload, message.qos) for message in ear.take_rest(3)]
        assert heard == [(b"1", 1), (b"2", 1), (b"3", 0)]


def test_a_route_ends_with_the_right_to_receive() -> None:
    gate = OwnTopics()
    with running(gate) as broker:
        ear = broker.client("ear")
        ear.subscribe(("ear/t", 1))
        boss = broker.client("boss")
        boss.publish("ear/t", b"before")
        gate.revoked.add("ear")
        boss.publish("ear/t", b"after")
        assert [message.payload for message in ear.take_rest(1)] == [b"before"]


def test_a_right_to_publish_ends_at_once() -> None:
    gate = OwnTopics()
    with running(gate) as broker:
        boss, node = broker.client("boss"), broker.client("node")
        boss.subscribe(("node/t", 1))
        node.publish("node/t", b"before")
        gate.revoked.add("node")
        node.publish("node/t", b"after")
        assert [message.payload for message in boss.take_rest(1)] == [b"before"]


def test_more_topics_than_are_remembered_reach_their_receivers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(router, "MAX_ENTRIES", 5)
    monkeypatch.setattr(router, "TOPICS_OF_CLIENT", 0)
    with running() as broker:
        ears = [broker.client(f"ear-{n}") for n in range(4)]
        publisher = broker.client("publisher")
        for ear in ears:
            ear.subscribe(("t/#", 1))
        topics = [f"t/{n % 3}" for n in range(12)]
        for topic in topics:
            publisher.publish(topic, b"x")
        for ear in ears:
            assert [message.topic for message in ear.take(12)] == topics


class Member:
    """A session, as far as routes go."""

    identity = Identity("a", Role.HUB)


def test_a_route_with_more_subscription_identifiers_than_are_remembered_is_found_anew() -> None:
    def routes(filters: list[str]) -> Subscriptions:
        found = Subscriptions(OpenGate(), max_entries=5)
        session = cast(ClientSession, Member())
        for number, text in enumerate(filters, 1):
            found.add(text, session, Grant(1, ids=(number,)))
        return found

    few = routes(["a/b", "+/b"])
    assert few.receivers("a/b") is few.receivers("a/b")
    many = routes(["a/b", "+/b", "a/+", "+/+"])
    assert sorted(many.receivers("a/b").with_options[0][1].ids) == [1, 2, 3, 4]
    assert many.receivers("a/b") is not many.receivers("a/b")
