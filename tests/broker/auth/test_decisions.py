"""Cached decisions: the gate is asked once a topic, and again after each change of the accounts."""

import functools
import time
from pathlib import Path

from broker.auth import accounts
from broker.auth.account_gate import AccountGate
from broker.auth.decisions import TopicDecisions
from broker.auth.gate import Gate, Identity, Role
from broker.auth.password_check import PasswordCheck
from tests.support import OpenGate

NODE = Identity("pi4", Role.NODE)


class CountingGate(OpenGate):
    def __init__(self) -> None:
        self.asked: list[str] = []

    def may_publish(self, _identity: Identity, topic: str) -> bool:
        self.asked.append(topic)
        return topic != "forbidden"


def of_node(gate: Gate) -> TopicDecisions:
    return TopicDecisions(gate, functools.partial(gate.may_publish, NODE))


def test_the_gate_is_asked_once_a_topic() -> None:
    gate = CountingGate()
    decisions = of_node(gate)
    for _ in range(3):
        assert decisions.allows("allowed")
        assert not decisions.allows("forbidden")
    assert gate.asked == ["allowed", "forbidden"]


def test_many_and_long_topics_are_not_kept() -> None:
    gate = CountingGate()
    decisions = of_node(gate)
    for _ in range(2):
        for number in range(1_000):
            assert decisions.allows(f"t/{number}")
        assert decisions.allows("t" * 1_000)
    assert len(gate.asked) == 2_002


def test_a_cached_answer_ends_with_the_account(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    accounts.enroll(path, "pi4")
    gate = AccountGate(path, PasswordCheck(time.monotonic), hub_token=None, allow_local=False)
    decisions = of_node(gate)
    assert decisions.allows("harvester/pi4/status")
    accounts.revoke(path, "pi4")
    gate.refresh()
    assert not decisions.allows("harvester/pi4/status")
    accounts.enroll(path, "pi4")
    gate.refresh()
    assert decisions.allows("harvester/pi4/status")
