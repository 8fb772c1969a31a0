"""Simulated pins: what a scenario does at inputs, and what outputs show."""

from pathlib import Path

import pytest

from bus.errors import BadDataError, MisconfiguredError
from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.gpio import InputMode
from node_agent.hal.simulated import scenario_file
from node_agent.hal.simulated.gpio.pins import SimulatedGpio
from node_agent.hal.simulated.gpio.signal import InputSignal, Pulses, Transition
from node_agent.hal.simulated.recorder import Recorder

PULSES = InputSignal(pulses=[Pulses(at_s=1, count=2, width_s=0.5)])
STEPS = InputSignal(levels=[(2, "high"), (4, "low")])


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def board(signal: InputSignal, clock: Clock, recorder: Recorder | None = None) -> SimulatedGpio:
    return SimulatedGpio({17: signal}, recorder or Recorder(""), clock)


def test_pulses_lie_over_the_level_of_the_pull() -> None:
    assert PULSES.transitions(idle_high=True) == [
        *(Transition(1.0, False), Transition(1.5, True)),
        *(Transition(2.0, False), Transition(2.5, True)),
    ]
    assert PULSES.transitions(idle_high=False) == []


def test_a_pulse_lies_over_the_levels() -> None:
    signal = InputSignal(levels=[(1, "high"), (4, "low")], pulses=[Pulses(at_s=3, width_s=2)])
    assert signal.transitions(idle_high=False) == [Transition(1, True), Transition(3, False)]


def test_an_input_follows_the_scenario() -> None:
    clock = Clock()
    pins = board(STEPS, clock)
    pins.set_input(17, InputMode("none", "both"))
    seen = []
    for clock.now_s in (0.0, 2.0, 3.9, 4.0):
        seen.append((pins.is_high(17), pins.edges(17)))
    assert seen == [(False, 0), (True, 1), (True, 1), (False, 2)]


@pytest.mark.parametrize(("pull", "high"), [("up", True), ("down", False), ("none", False)])
def test_an_open_input_has_the_level_of_its_pull(pull: str, high: bool) -> None:
    pins = board(InputSignal(), Clock())
    pins.set_input(17, InputMode(pull, "both"))
    assert pins.is_high(17) is high


def test_edges_within_the_debounce_time_are_not_counted() -> None:
    clock = Clock()
    signal = InputSignal(pulses=[Pulses(at_s=1, count=5, width_s=0.002, every_s=0.004)])
    pins = board(signal, clock)
    pins.set_input(17, InputMode("up", "falling", 20))
    clock.now_s = 2.0
    assert pins.edges(17) == 1


def test_another_mode_counts_on_from_its_own_time() -> None:
    clock = Clock()
    pins = board(PULSES, clock)
    pins.set_input(17, InputMode("up", "falling"))
    clock.now_s = 1.2
    pins.set_input(17, InputMode("up", "rising"))
    clock.now_s = 3.0
    assert pins.edges(17) == 3


def test_an_output_is_seen_and_gets_its_safe_level_when_the_board_is_closed(
    tmp_path: Path,
) -> None:
    record = tmp_path / "record.jsonl"
    recorder = Recorder(str(record))
    pins = board(InputSignal(), Clock(), recorder)
    pins.drive(22, high=True, safe_high=False)
    pins.drive(23, high=True, safe_high=True)
    assert pins.levels == {22: True, 23: True}
    pins.close()
    pins.close()
    assert pins.levels == {22: False, 23: True}
    assert [(event.pin, event.high) for event in pins.events] == [
        *((22, True), (23, True)),
        (22, False),
    ]
    recorder.close()
    assert len(record.read_text().splitlines()) == 3
    with pytest.raises(DeviceUnavailableError, match="gpio is closed"):
        pins.drive(22, high=True, safe_high=False)


def test_a_pin_that_is_no_input_is_named() -> None:
    pins = board(STEPS, Clock())
    pins.drive(17, high=True, safe_high=False)
    with pytest.raises(BadDataError, match="gpio17 is no input yet"):
        pins.is_high(17)


def test_a_scenario_file_drives_inputs(tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text(
        '[inputs.gpio17]\nlevels = [[0, "high"]]\npulses = [{ at_s = 5, width_s = 0.3 }]\n'
    )
    (signal,) = scenario_file.load(str(file)).input_signals().values()
    assert signal.transitions(idle_high=True) == [Transition(5.0, False), Transition(5.3, True)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[inputs.gpio99]", "inputs.gpio99: found the key 'gpio99', expected a pin from gpio2 to"),
        (
            '[inputs.gpio17]\nlevels = [[0, "on"]]',
            "inputs.gpio17.levels[0][1]: found 'on', expected one of high, low",
        ),
        (
            "[inputs.gpio17]\npulses = [{ at_s = 1, count = 2, width_s = 2 }]",
            "inputs.gpio17.pulses[0]: every_s: found 1.0, expected more than width_s = 2",
        ),
    ],
)
def test_a_mistake_in_a_signal_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text(text)
    with pytest.raises(MisconfiguredError) as refused:
        scenario_file.load(str(file))
    assert said in str(refused.value)
