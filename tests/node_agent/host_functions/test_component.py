"""A real component calls the functions for pins, events, readings and the fan."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from bus.config.grant_table import Output
from bus.config.settings import Config, Grant
from bus.contract.messages import Event, Reading, encode
from bus.contract.topics import Topic, TopicKind
from node_agent.actuators.fan import FanControl
from node_agent.actuators.led_buffer import LedBuffer
from node_agent.hal.simulated.board import SimulatedBoard
from node_agent.hal.simulated.gpio.signal import InputSignal, Pulses
from node_agent.hal.simulated.recorder import Recorder
from node_agent.hal.simulated.scenario import Scenario
from node_agent.host_functions.effects import EffectParts
from node_agent.plugins.bus_view import BusView
from node_agent.plugins.store import PluginStore
from node_agent.plugins.wit_imports import NodeParts, host_imports
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.built_components import packed
from tests.support import PROJECT

PRESSES = Scenario(inputs={"gpio17": InputSignal(pulses=[Pulses(at_s=1, count=3, width_s=0.2)])})
GRANT = Grant(
    inputs=[17],
    outputs=[Output(pin=22, safe="low")],
    readings=["attic:*"],
    events=True,
    fan=True,
    state=True,
)


class Guest:
    """The doorbell, on a board whose time stands still until it is moved."""

    def __init__(self, stack: ExitStack, runtime: Runtime, file: Path, folder: Path) -> None:
        self.now_s = 0.0
        self.board = SimulatedBoard(Config(), PRESSES, Recorder(""), lambda: self.now_s)
        stack.enter_context(closing(self.board))
        self.view = BusView()
        self.events: list[tuple[str, Event]] = []
        self.fan: list[bool] = []
        self.store = PluginStore(folder / "doorbell.json")
        self.lines: list[str] = []
        fan = FanControl(self.fan.append, lambda _state: None)
        parts = NodeParts(self.board, LedBuffer(0), None, fan, view=self.view)
        effects = EffectParts(
            "doorbell", GRANT, self.board, publish=lambda *event: self.events.append(event)
        ).open()
        imports = host_imports("doorbell", GRANT, parts, self.store, effects=effects)
        loaded = stack.enter_context(runtime.load(file))
        limits = Limits(deadline_s=20.0)
        instance = PluginInstance(loaded, imports, limits, self.lines.append)
        self.instance = stack.enter_context(instance)

    def poll(self) -> Any:
        return self.instance.call("sensor-logic", "poll")

    def call(self, *calls: list[Any]) -> list[Any]:
        """Let the plugin make calls; return what came of each."""
        self.store.set("calls", json.dumps(calls))
        self.poll()
        answers: list[Any] = json.loads(self.lines[-1])
        return answers


@pytest.fixture
def guest(runtime: Runtime, tmp_path: Path) -> Iterator[Guest]:
    with ExitStack() as stack:
        file = packed(PROJECT / "tests" / "components")["doorbell"]
        yield Guest(stack, runtime, file, tmp_path)


def test_presses_become_an_event_and_light_the_lamp(guest: Guest) -> None:
    (before,) = guest.poll()
    assert (before.values, guest.board.pins.levels) == ([("presses", 0.0)], {22: False})
    guest.now_s = 2.5
    (after,) = guest.poll()
    assert (after.values, guest.board.pins.levels) == ([("presses", 2.0)], {22: True})
    ((sensor, event),) = guest.events
    assert (sensor, event.name, event.data) == ("bell", "pressed", {"count": 2})


def test_the_pins_answer_and_errors_name_the_pin(guest: Guest) -> None:
    set_input = ["gpio", "set_input", 17, "up", "both", 0]
    assert guest.call(set_input, ["gpio", "read", 17], ["gpio", "take_edges", 17]) == [
        None,
        True,
        0,
    ]
    guest.now_s = 1.1
    assert guest.call(["gpio", "read", 17], ["gpio", "take_edges", 17]) == [False, 1]
    assert guest.call(
        ["gpio", "read", 5],
        ["gpio", "write", 17, True],
        ["gpio", "set_input", 17, "upp", "both", 0],
    ) == [
        {"err": "not granted: add inputs = [5] to [plugins.grants.doorbell]"},
        {"err": "not granted: [plugins.grants.doorbell] has gpio17 as an input"},
        {"err": "gpio.set_input: pull: found 'upp', expected one of up, down, none"},
    ]


def test_the_newest_reading_of_another_node_is_given_by_grant(guest: Guest) -> None:
    reading = Reading("attic", "outdoor", 1_700_000_000_000, "s", 1, {"temperature": -3.5})
    guest.view.hear(Topic("attic", TopicKind.READING, "outdoor"), encode(reading))
    found, none, refused = guest.call(
        ["readings", "latest", "attic:outdoor"],
        ["readings", "latest", "attic:indoor"],
        ["readings", "latest", "cellar:outdoor"],
    )
    given = json.loads(found)
    assert (given["sensor_id"], given["timestamp_ms"]) == ("attic:outdoor", 1_700_000_000_000)
    assert given["data"] == {"temperature": -3.5}
    assert (none, refused) == (None, None)


def test_a_bad_event_is_an_err_that_says_what_was_expected(guest: Guest) -> None:
    assert guest.call(
        ["events", "publish", "Bell", "pressed", "{}"],
        ["events", "publish", "bell", "two words", "{}"],
        ["events", "publish", "bell", "pressed", "[1]"],
    ) == [
        {
            "err": "events.publish: sensor_id: found 'Bell', expected up to 64 of a-z, 0-9 "
            "and dashes"
        },
        {
            "err": "events.publish: name: found 'two words', expected up to 64 of a-z, 0-9 "
            "and dashes"
        },
        {"err": "events.publish: data: found '[1]', expected a JSON object, {} for none"},
    ]
    assert guest.events == []


def test_a_sensor_plugin_may_have_the_fan(guest: Guest) -> None:
    assert guest.call(["fan_controller", "set_fan", True], ["fan_controller", "get_fan_state"]) == [
        None,
        True,
    ]
    assert guest.fan == [True]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (["gpio", "read", 300], "gpio.read: pin: found 300, expected an integer from 0 to 255"),
        (["gpio", "set_input", 17, "up", 1, 0], "gpio.set_input: edge: found 1, expected a string"),
        (["gpio", "write", 22, 1], "gpio.write: high: found 1, expected True or False"),
        (["events", "publish", "b", "p", {}], "events.publish: data: found {}, expected a string"),
        (["readings", "latest", None], "readings.latest: sensor: found None, expected a string"),
    ],
)
def test_a_value_of_a_wrong_type_is_named_with_the_authors_line(
    guest: Guest, call: list[Any], said: str
) -> None:
    guest.store.set("calls", json.dumps([call]))
    with pytest.raises(Exception, match="TypeError") as failed:
        guest.poll()
    assert said in str(failed.value)
    assert "(app.py:" in str(failed.value)
