"""Pins of one plugin instance: grants, and outputs over trial, take-over and end."""

from types import SimpleNamespace

import pytest

from bus.config.grant_table import Output
from bus.config.settings import Grant
from bus.errors import HarvesterError
from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.simulated.gpio.pins import SimulatedGpio
from node_agent.hal.simulated.gpio.signal import InputSignal, Pulses
from node_agent.hal.simulated.recorder import Recorder
from node_agent.host_functions.pins import PluginPins

GRANT = Grant(
    inputs=[17],
    outputs=[Output(pin=22, safe="low"), Output(pin=23, safe="high")],
)
USERS = {4: "sensors.dht22_pins[0]", 18: "leds.pin", 5: "plugins.grants.other.inputs[0]"}


class Node:
    """Hardware whose inputs a test moves in time, and instances of one plugin on it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        signal = InputSignal(pulses=[Pulses(at_s=1, count=10)])
        self.gpio = SimulatedGpio({17: signal}, Recorder(""), lambda: self.now_s)

    def instance(self, *, is_live: bool = True) -> PluginPins:
        hardware = SimpleNamespace(gpio=self.gpio)
        return PluginPins("door", GRANT, hardware, USERS, is_live=is_live)


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.mark.parametrize(
    ("pin", "said"),
    [
        (6, "not granted: add inputs = [6] to [plugins.grants.door]"),
        (4, "not granted: gpio4 belongs to sensors.dht22_pins[0]"),
        (18, "not granted: gpio18 belongs to leds.pin"),
        (5, "not granted: gpio5 belongs to plugins.grants.other.inputs[0]"),
        (22, "not granted: [plugins.grants.door] has gpio22 as an output"),
        (99, "pin: found 99, expected 2 to 27"),
    ],
)
def test_an_input_that_is_not_granted_is_refused_with_its_cause(
    node: Node, pin: int, said: str
) -> None:
    pins = node.instance()
    for call in (
        lambda: pins.set_input(pin, "up", "both", 0),
        lambda: pins.read(pin),
        lambda: pins.take_edges(pin),
    ):
        with pytest.raises(HarvesterError) as refused:
            call()
        assert str(refused.value) == said


@pytest.mark.parametrize(
    ("pin", "said"),
    [
        (6, 'not granted: add outputs = [{ pin = 6, safe = "low" }] to [plugins.grants.door]'),
        (17, "not granted: [plugins.grants.door] has gpio17 as an input"),
    ],
)
def test_an_output_that_is_not_granted_is_refused_with_its_cause(
    node: Node, pin: int, said: str
) -> None:
    with pytest.raises(HarvesterError) as refused:
        node.instance().write(pin, True)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("pull", "edge", "debounce_ms", "said"),
    [
        ("UP", "both", 0, "pull: found 'UP', expected one of up, down, none"),
        ("up", "any", 0, "edge: found 'any', expected one of rising, falling, both"),
        ("up", "both", 60_000, "debounce_ms: found 60000, expected at most 10000"),
    ],
)
def test_a_bad_mode_is_refused(
    node: Node, pull: str, edge: str, debounce_ms: int, said: str
) -> None:
    with pytest.raises(HarvesterError) as refused:
        node.instance().set_input(17, pull, edge, debounce_ms)
    assert str(refused.value) == f"gpio.set_input: {said}"


def test_edges_are_those_since_the_last_call(node: Node) -> None:
    pins = node.instance()
    pins.set_input(17, "up", "falling", 0)
    node.now_s = 2.5
    assert (pins.take_edges(17), pins.take_edges(17)) == (2, 0)
    node.now_s = 3.5
    pins.set_input(17, "up", "falling", 0)
    assert pins.take_edges(17) == 1


def test_two_instances_count_for_themselves(node: Node) -> None:
    first = node.instance()
    first.set_input(17, "up", "falling", 0)
    node.now_s = 1.05
    second = node.instance(is_live=False)
    second.set_input(17, "up", "falling", 0)
    node.now_s = 2.05
    assert (second.take_edges(17), first.take_edges(17)) == (1, 2)


def test_outputs_are_safe_when_the_instance_ends_and_stay_so(node: Node) -> None:
    pins = node.instance()
    pins.write(22, True)
    pins.write(23, False)
    assert node.gpio.levels == {22: True, 23: False}
    pins.end()
    assert node.gpio.levels == {22: False, 23: True}
    pins.write(22, True)
    pins.go_live()
    assert node.gpio.levels == {22: False, 23: True}


def test_a_trial_drives_nothing_until_it_takes_over(node: Node) -> None:
    old = node.instance()
    old.write(22, True)
    old.write(23, False)
    new = node.instance(is_live=False)
    new.write(22, False)
    new.write(22, True)
    assert len(node.gpio.events) == 2
    old.retire()
    new.go_live()
    old.write(23, False)
    old.end()
    # What the new one did not write is safe.
    assert node.gpio.levels == {22: True, 23: True}


def test_a_trial_that_fails_leaves_the_outputs_alone(node: Node) -> None:
    old = node.instance()
    old.write(22, True)
    new = node.instance(is_live=False)
    new.write(22, False)
    new.end()
    assert node.gpio.levels == {22: True}


def test_a_pin_that_cannot_be_driven_does_not_keep_the_others_from_their_levels(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    pins = node.instance()
    drive = node.gpio.drive

    def fail_at_22(pin: int, **levels: bool) -> None:
        if pin == 22:
            raise DeviceUnavailableError("gpio22: no answer")
        drive(pin, **levels)

    node.gpio.drive = fail_at_22
    pins.end()
    assert node.gpio.levels == {23: True}
    assert caplog.messages == ["plugin door: gpio22: no answer"]
