"""Recorded polls in the sandbox, and the same polls played without the hardware."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harvester.plugins.replay import report
from node_agent.recorder import record_file
from node_agent.recorder.events import Call, Failed, Monotonic, Random, Returned, Wall
from node_agent.recorder.flight import FlightParts
from node_agent.recorder.kept import KeptRecords
from node_agent.recorder.playback import PlayedStep, play
from node_agent.recorder.record_file import Record
from node_agent.sandbox.errors import PluginError
from node_agent.sandbox.instance import Err
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.built_components import packed
from tests.node_agent import source_bundle
from tests.support import PATIENT_S, PROJECT

LIMITS = Limits(PATIENT_S, load_deadline_s=PATIENT_S)
HEAD = """import os, random, time, uuid
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import gpio_provider, i2c

class SensorLogic(exports.SensorLogic):
    def __init__(self):
        self.polls = 0

    def poll(self):
        self.polls += 1
"""
READS = """
i2c.transfer(0x23, "10", 0)
time.sleep(0.03)
raw = i2c.transfer(0x23, "", 2)
lux = int(raw, 16) + random.random() + time.monotonic() + os.urandom(1)[0] + self.polls
if raw == "dead":
    raise ValueError(f"{uuid.uuid4()} at {time.time()} after {lux}, {object()}")
return [Reading("light", gpio_provider.get_timestamp_ms(), [("lux", lux)])]
"""


@pytest.fixture(scope="module", autouse=True)
def runtime_is_built() -> None:
    packed(PROJECT / "tests" / "components")


def made(
    body: str, imports: tuple[str, ...] = ("i2c", "gpio-provider"), *, head: str = HEAD
) -> bytes:
    text = head + "".join(f"        {line}\n" for line in body.splitlines())
    return source_bundle.encoded(text, imports)


class Machine:
    """Records one plugin in a sandbox of its own."""

    def __init__(self, runtime: Runtime, tmp_path: Path) -> None:
        self._runtime = runtime
        self._tmp_path = tmp_path

    def record(self, content: bytes, chip: Callable[..., Any], polls: int, kb: int = 256) -> Record:
        file = self._tmp_path / "recorded.bundle"
        file.write_bytes(content)
        kept: list[bytes] = []
        records = KeptRecords(lambda _name, record: bool(kept.append(record.content)) or True)
        flight = FlightParts("pi4", "light", kb * 1024, records).open()
        imports = {"i2c": {"transfer": chip}, "gpio-provider": dict.fromkeys(GPIO, lambda *_: 7)}
        with self._runtime.load(file) as loaded:
            fault = ""
            with flight.start(loaded, imports, LIMITS, lambda _line: None) as instance:
                try:
                    for _ in range(polls):
                        instance.call("sensor-logic", "poll")
                except PluginError as e:
                    fault = str(e)
            flight.keep("fault" if fault else "command", fault)
        records.wait()
        records.send_waiting()
        return record_file.decode(kept[0], "record")

    def play(self, record: Record, content: bytes) -> list[PlayedStep]:
        file = self._tmp_path / "played.bundle"
        file.write_bytes(content)
        with self._runtime.load(file) as loaded:
            return list(play(loaded, record))


GPIO = ("read-dht22", "get-timestamp-ms", "get-cpu-temp")


@pytest.fixture
def machine(runtime: Runtime, tmp_path: Path) -> Machine:
    return Machine(runtime, tmp_path)


def chip(answers: list[Any]) -> Callable[..., Any]:
    """Return a chip that gives `answers`, one at each read."""
    left = iter(answers)
    return lambda _address, _write, read: next(left) if read else ""


def test_a_fault_is_played_byte_for_byte(machine: Machine) -> None:
    recorded = machine.record(made(READS), chip(["0010", "0011", "dead"]), 5)
    assert recorded.fault.startswith("ValueError: ")
    played = machine.play(recorded, made(READS))
    assert [step.recorded.number for step in played] == [0, 1, 2, 3]
    assert [step.is_same for step in played] == [True] * 4
    last = played[-1].played.outcome
    assert isinstance(last, Failed)
    assert (last.message, last.traceback) == (recorded.fault, played[-1].recorded.outcome.traceback)  # type: ignore[union-attr]
    assert "app.py" in last.traceback


def test_a_fault_of_code_that_was_kept_is_played_byte_for_byte(
    machine: Machine, tmp_path: Path
) -> None:
    marked = READS + f"# {tmp_path}"
    assert not machine.record(made(marked), chip(["0010"]), 1).plugin.had_code
    recorded = machine.record(made(marked), chip(["dead"]), 1)
    assert recorded.plugin.had_code
    assert all(step.is_same for step in machine.play(recorded, made(marked)))


def test_an_err_of_a_chip_is_played_byte_for_byte(machine: Machine) -> None:
    refused = Err("no answer at i2c-1 0x23")
    recorded = machine.record(made(READS), chip(["0010", refused]), 2)
    last = machine.play(recorded, made(READS))[-1]
    assert last.is_same
    assert last.played.outcome == Returned("no answer at i2c-1 0x23")
    assert [event for event in last.played_events if isinstance(event, Call)][-1].answer == {
        "err": "no answer at i2c-1 0x23"
    }


def test_clocks_and_randomness_are_in_the_record(machine: Machine) -> None:
    recorded = machine.record(made(READS), chip(["dead"]), 1)
    kinds = {
        type(event)
        for step in machine.play(recorded, made(READS))
        for event in step.recorded_events
    }
    assert kinds == {Call, Monotonic, Random, Wall}


def test_a_changed_plugin_differs_from_the_record(machine: Machine) -> None:
    recorded = machine.record(made(READS), chip(["0010", "dead"]), 2)
    repaired = READS.replace("raise ValueError(", "lux = len(")
    load, first, last = machine.play(recorded, made(repaired))
    assert load.is_same
    assert first.is_same
    assert not last.is_same
    assert isinstance(last.played.outcome, Returned)


def test_a_call_that_was_not_recorded_has_no_answer(machine: Machine) -> None:
    recorded = machine.record(made(READS), chip(["0010"]), 1)
    other = 'return str(i2c.transfer(0x44, "", 1))'
    (_, step) = machine.play(recorded, made(other))
    assert step.played.outcome == Returned("i2c.transfer: the record has no answer to this call")


def test_a_call_of_an_earlier_poll_is_answered_as_it_was_newest_there(machine: Machine) -> None:
    """The time is that of the poll itself."""
    said = 'f"{i2c.transfer(0x23, "", 2)} {gpio_provider.get_timestamp_ms()}"'
    asks = f"from componentize_py_types import Err\nraise Err({said})"
    fails = f'if self.polls == 3:\n    raise ValueError("loose")\n{asks}'
    recorded = machine.record(made(fails), chip(["0010", "0011"]), 3)
    *_, second, third = machine.play(recorded, made(asks))
    assert second.played.outcome == Returned("0011 7")
    assert third.played.outcome == Returned(f"0011 {third.recorded.began_ms}")


def test_a_full_ring_keeps_the_first_and_the_newest_polls(machine: Machine) -> None:
    answers = itertools.cycle(["0010", "0011"])
    recorded = machine.record(made(READS), chip(answers), 150, kb=12)  # type: ignore[arg-type]
    numbers = [step.number for step in recorded.steps.kept]
    assert numbers[:2] == [0, 1]
    assert numbers[-1] == 150
    assert recorded.steps.missing == 151 - len(numbers) > 0
    played = machine.play(recorded, made(READS))
    first = len(numbers) - recorded.steps.newest
    assert all(step.is_same for step in played[:first])
    assert [step.follows_gap for step in played].index(True) == first
    # What the plugin has counted was kept.
    assert recorded.steps.kept[first].state is not None
    assert all(step.is_same for step in played)


REMEMBERS = """
i2c.transfer(0x23, "10", 0)
TOTALS[self.polls % 3] = self.polls
SensorLogic.highest = max(SensorLogic.highest, self.polls)
self.newest.append(random.random())
if self.polls == 400:
    raise ValueError(f"{TOTALS} {self.highest} {sum(self.newest)} {self.gauge.mean():.3f}")
self.gauge.add(self.polls)
return [Reading("light", gpio_provider.get_timestamp_ms(), [("lux", random.random())])]
"""
MEMORY = """from collections import deque
import struct

WORD = struct.Struct(">H")
TOTALS = {}

class Gauge:
    def __init__(self): self.values = deque(maxlen=5)
    def add(self, value): self.values.append(value)
    def mean(self): return sum(self.values) / len(self.values)
"""
SETS_UP = "self.polls = 0\n        self.newest = deque(maxlen=9)\n        self.gauge = Gauge()"


def remembering(more: str = "") -> bytes:
    """Return a plugin that remembers every poll, and fails in the 400th."""
    text = MEMORY + HEAD.replace("self.polls = 0", SETS_UP + more).replace(
        "    def __init__", "    highest = 0\n    word = WORD\n\n    def __init__"
    )
    return made(REMEMBERS, head=text)


def test_a_fault_of_a_long_run_is_played_from_the_state_that_was_kept(machine: Machine) -> None:
    recorded = machine.record(remembering(), chip([]), 401, kb=24)
    assert recorded.fault.startswith("ValueError: {1: 400, 2: 398, 0: 399} 400 ")
    assert recorded.steps.missing > 100
    played = machine.play(recorded, remembering())
    assert [step.recorded.number for step in played if not step.is_same] == []
    assert played[-1].recorded.number == 400
    assert "begins with the state that was kept" in report.gap(recorded)
    assert list(report.not_again(recorded, played[-1], "")) == []


def test_a_changed_plugin_that_is_played_from_a_state_has_its_own_constants_and_attributes(
    machine: Machine,
) -> None:
    limited = MEMORY + "\nLIMIT = 400\ncount = 0\n"
    body = "global count\ncount += 1\nif count == LIMIT: raise ValueError(count)\n" + READS
    head = limited + HEAD.replace("self.polls = 0", SETS_UP)
    recorded = machine.record(made(body, head=head), chip(["0010"] * 400), 401, kb=24)
    assert recorded.fault.startswith("ValueError: 400")
    assert recorded.steps.missing > 100
    changed = head.replace("LIMIT = 400", "LIMIT = 410").replace(
        "self.polls = 0", "self.polls = self.new = 0"
    )
    changed = changed.replace("self.values = deque", "self.new = 1; self.values = deque")
    uses = body.replace("count += 1", "count += 1\nself.new += self.gauge.new")
    played = machine.play(recorded, made(uses, head=changed))
    assert played[-1].recorded.number == 400
    assert isinstance(played[-1].played.outcome, Returned)


def test_a_state_that_cannot_be_kept_is_said_with_its_reason(machine: Machine) -> None:
    lasting = remembering("\n        self.rows = (n for n in range(9))")
    recorded = machine.record(lasting, chip([]), 401, kb=24)
    played = machine.play(recorded, lasting)
    assert not played[-1].is_same
    first, second = report.not_again(recorded, played[-1], "")
    assert first == "the recorded fault did not come again in poll 400: none came"
    assert "what the plugin remembered of them is missing: TypeError: cannot pickle" in second
    assert "'rows'" in second


@pytest.mark.parametrize(
    "attribute",
    ["self.deep = nested(100_000)", "self.large = bytes(1_000_000)", "self.evil = Evil()"],
)
def test_a_state_that_is_deep_large_or_hostile_costs_the_plugin_nothing(
    machine: Machine, attribute: str
) -> None:
    hostile = """
def nested(count):
    found = []
    for _ in range(count):
        found = [found]
    return found

class Evil:
    def __reduce__(self):
        gpio_provider.get_timestamp_ms()
"""
    text = HEAD.replace("class Sensor", f"{hostile}\nclass Sensor")
    text = text.replace("self.polls = 0", f"self.polls = 0\n        {attribute}")
    recorded = machine.record(made(READS, head=text), chip(["0010"] * 150), 150, kb=12)
    assert recorded.fault == ""
    assert recorded.steps.kept[-1].number == 150
    assert any(step.no_state for step in recorded.steps.kept)


HOOKS = """
counted = []

class Evil:
    def __reduce__(self):
        counted.append(1)
        return (int, ())

class Endless:
    def __getstate__(self):
        while True:
            pass

class Many(list):
    def __iter__(self):
        counted.append(1)
        return super().__iter__()
"""


@pytest.mark.parametrize("value", ["Evil()", "Endless()", "Many([1])"])
def test_no_code_of_the_author_runs_while_the_state_is_taken(machine: Machine, value: str) -> None:
    text = HEAD.replace("class Sensor", f"{HOOKS}\nclass Sensor")
    text = text.replace("self.polls = 0", f"self.polls = 0\n        self.value = {value}")
    counting = f"if counted: raise ValueError('it ran')\n{READS}"
    recorded = machine.record(made(counting, head=text), chip(["0010"] * 150), 150, kb=12)
    assert recorded.fault == ""
    assert any("would have to run" in step.no_state for step in recorded.steps.kept)


def test_a_call_around_the_guests_check_ends_the_guest_before_it_reaches_the_host(
    machine: Machine,
) -> None:
    text = HEAD.replace("\nclass", "\ngpio_provider.get_timestamp_ms.__wrapped__()\nclass")
    with pytest.raises(PluginError, match="called the host while it was loaded"):
        machine.record(made(READS, head=text), chip([]), 1)


@pytest.mark.parametrize(
    "end",
    ["while True:\n    pass", "time.sleep(0.01)\ntime.sleep(3600)"],
    ids=["endless", "asleep"],
)
def test_a_poll_that_met_its_deadline_is_the_same_and_meets_it_again(
    machine: Machine, end: str
) -> None:
    endless = f'i2c.transfer(0x23, "", 2)\n{end}'
    # A guest whose thread starves must come to its loop before.
    deadline_s = 2.0
    limits = Limits(deadline_s, load_deadline_s=PATIENT_S)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.node_agent.recorder.test_playback.LIMITS", limits)
        patch.setattr("node_agent.recorder.playback._CUT_OFF_S", deadline_s + 1.0)
        recorded = machine.record(made(endless), chip(["0010"]), 1)
        assert "deadline" in recorded.fault
        played = machine.play(recorded, made(endless))[-1]
    assert played.is_same
    assert played.played.outcome == played.recorded.outcome
