"""SUBSCRIBE requests that have much to look at."""

import itertools

from broker.auth.gate import Identity
from tests.broker.embedded.gates import OwnTopics
from tests.broker.embedded.running import running
from tests.broker.embedded.switch import ours_only

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
