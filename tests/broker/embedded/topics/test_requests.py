"""SUBSCRIBE requests that have much to look at."""

import itertools

from broker.auth.gate import Identity
from broker.embedded.packets.fields import MAX_FILTERS
from broker.embedded.packets.model import ReasonCode
from tests.broker.embedded.gates import OwnTopics
from tests.broker.embedded.raw import PUBACK, SUBACK, publish, subscribe, unsubscribe
from tests.broker.embedded.running import running
from tests.broker.embedded.switch import ours_only
from tests.broker.embedded.version5.raw5 import client5, subscribe5

pytestmark = ours_only

MANY = 1_000


class Asked(OwnTopics):
    """Counts the questions about one client."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def may_receive(self, identity: Identity, topic: str) -> bool:
        self.asked += identity.name == "ear"
        return super().may_receive(identity, topic)


def test_a_filter_that_one_request_repeats_is_looked_at_once() -> None:
    gate = Asked()
    with running(gate) as broker:
        boss, ear = broker.client("boss"), broker.client("ear")
        for number in range(10):
            boss.publish(f"boss/{number}", b"x", retain=True)
        boss.publish("all/last", b"x", retain=True)
        asked = gate.asked
        ear.subscribe(*[("+/#", 1)] * MANY)
        assert [message.topic for message in ear.take_rest(1)] == ["all/last"]
        assert gate.asked - asked < MANY


def test_others_have_their_turn_while_retained_messages_are_looked_for() -> None:
    gate = Asked()
    with running(gate, retained_messages_per_user=10 * MANY) as broker:
        boss, ear = broker.client("boss"), broker.client("ear")
        for number in range(MANY):
            boss.publish(f"boss/{number}", b"x", qos=0, retain=True)
        boss.ping()
        before = gate.asked
        turns: list[int] = []

        def look() -> None:
            turns.append(gate.asked - before)
            if turns[-1] < MANY:
                broker.loop.call_soon(look)

        broker.call(lambda: broker.loop.call_soon(look))
        ear.subscribe(("+/#", 1))
        broker.wait_until(lambda: turns[-1] >= MANY)
        most = max(after - first for first, after in itertools.pairwise(turns))
        assert most <= MANY // 4
        boss.publish("all/t", b"x")
        assert ear.receive().topic == "all/t"


def test_the_name_of_a_group_has_a_limit() -> None:
    with running() as broker:
        client = broker.client("a")
        name = "g" * 256
        assert client.subscribe((f"$share/{name}/t", 1), (f"$share/{name}g/t", 1)) == [1, 0x80]


class Granted(OwnTopics):
    """Counts the filters that one client asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def may_subscribe(self, identity: Identity, topic_filter: str) -> bool:
        self.asked += identity.name == "boss"
        return super().may_subscribe(identity, topic_filter)


def test_others_have_their_turn_while_many_filters_are_granted() -> None:
    gate = Granted()
    with running(gate, subscriptions_per_client=MAX_FILTERS) as broker:
        boss = broker.client("boss")
        filters = [(f"{number}", 1) for number in range(MAX_FILTERS)]
        turns: list[int] = []

        def look() -> None:
            turns.append(gate.asked)
            if turns[-1] < MAX_FILTERS:
                broker.loop.call_soon(look)

        broker.call(lambda: broker.loop.call_soon(look))
        # What is behind it waits for it.
        boss.send(subscribe(*filters) + publish(f"{MAX_FILTERS - 1}", b"x", 1))
        assert len(boss.expect(SUBACK)) == 2 + MAX_FILTERS
        boss.expect(PUBACK)
        assert boss.take(1)[0].payload == b"x"
        broker.wait_until(lambda: turns[-1] == MAX_FILTERS)
        assert max(after - first for first, after in itertools.pairwise(turns)) <= MAX_FILTERS // 10
        boss.unsubscribe(*(text for text, _ in filters))
        assert broker.filters() == 0


def test_a_client_that_leaves_while_its_filters_are_granted_leaves_none() -> None:
    with running(subscriptions_per_client=MAX_FILTERS) as broker:
        for _ in range(5):
            client = broker.client("c")
            client.send(subscribe(*((f"{number}", 1) for number in range(MAX_FILTERS))))
            client.reset()
        broker.wait_until(lambda: broker.sessions() == 0)
        assert broker.filters() == 0


def test_a_packet_with_too_many_filters_ends_the_connection() -> None:
    filters = [("t", 1)] * (MAX_FILTERS + 1)
    with running() as broker:
        for body in (subscribe(*filters), unsubscribe(*(text for text, _ in filters))):
            client = broker.client("c")
            client.send(body)
            assert client.is_closed()
        ear = client5(broker, "five")
        ear.send(subscribe5(*filters))
        assert ear.goodbye() == ReasonCode.QUOTA_EXCEEDED


def test_no_retained_message_comes_when_its_subscription_has_ended() -> None:
    with running(in_flight=1) as broker:
        boss, ear = broker.client("boss"), broker.client("ear")
        for number in range(5):
            boss.publish(f"all/{number}", b"x", retain=True)
        ear.subscribe(("all/#", 1))
        first = ear.receive()
        ear.unsubscribe("all/#")
        boss.publish("all/new", b"new", retain=True)
        ear.acknowledge(first)
        assert ear.take_rest() == []
