import queue

import pytest

from bus.contract.messages import Result
from bus.errors import BadCommandError
from node_agent.actuators.actuators import Actuators, buzzer_command, fan_command
from tests.support import WAIT_S


class Results:
    """Results as they are published, in order."""

    def __init__(self) -> None:
        self._published: queue.SimpleQueue[tuple[str, Result]] = queue.SimpleQueue()

    def publish(self, actuator: str, result: Result) -> None:
        self._published.put((actuator, result))

    def next(self) -> tuple[str, bool, str]:
        actuator, result = self._published.get(timeout=WAIT_S)
        return actuator, result.ok, result.error


def refuse(_payload: bytes) -> None:
    raise BadCommandError("found nonsense")


def break_down(_payload: bytes) -> None:
    raise ZeroDivisionError


def test_every_command_gets_a_result_in_order() -> None:
    results = Results()
    executors = {"leds": lambda _: None, "fan": refuse, "buzzer": break_down}
    with Actuators("pi4", executors, results.publish) as actuators:
        for actuator in ("leds", "fan", "buzzer", "siren"):
            actuators.submit(actuator, b"on")
        assert results.next() == ("leds", True, "")
        assert results.next() == ("fan", False, "found nonsense")
        assert results.next() == ("buzzer", False, "the node failed: ZeroDivisionError()")
        missing = "pi4 has no siren: expected one of leds, fan, buzzer"
        assert results.next() == ("siren", False, missing)


def test_commands_of_an_absent_actuator_are_refused_whatever_they_say() -> None:
    for payload in (b"beep", b"nonsense"):
        with pytest.raises(BadCommandError, match="pi4 has no buzzer"):
            buzzer_command("pi4", None)(payload)
        with pytest.raises(BadCommandError, match="pi4 has no fan"):
            fan_command("pi4", None)(payload)


def test_more_commands_than_may_wait_are_refused_at_once() -> None:
    results = Results()
    actuators = Actuators("pi4", {"leds": lambda _: None}, results.publish)
    for _ in range(101):
        actuators.submit("leds", b"off")
    assert results.next() == ("leds", False, "more than 100 commands wait already")
