"""Whatever a plugin gets wrong: its state says so, nobody else notices, and it gets up again."""

import queue
import resource
import statistics
import threading
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from bus.errors import HarvesterError
from node_agent.actuators.led_buffer import LedBuffer
from node_agent.plugins.readings import samples
from node_agent.plugins.store import PluginStore
from node_agent.plugins.supervisor.hung_threads import MAX_LEFT_BEHIND
from node_agent.plugins.wit_imports import NodeParts, host_imports
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.built_components import CACHE
from tests.node_agent.plugins.hostile import Neighbours
from tests.node_agent.sandbox.test_instance import EVERYTHING, FakeHardware
from tests.support import PATIENT_S, WAIT_S

MEMORY = "needed more memory than its limit of 32 MB"
SLOW = f"took longer than its deadline of {PATIENT_S:g} s"


class Fault(msgspec.Struct, frozen=True):
    """What the state says, and a line of the plugin's own traceback where Python can give one."""

    says: str
    traceback: str = ""


ENDING = {
    "endless": Fault(SLOW),
    "recurse": Fault("RecursionError: maximum recursion depth exceeded", "in deeper"),
    "hog": Fault(MEMORY, "in hog"),
    "fail": Fault("ValueError: the sensor is on fire", "in fail"),
    "leave": Fault("called sys.exit (app.py:", "in leave"),
    "several": Fault("ExceptionGroup: several (2 sub-exceptions) (app.py:", "in several"),
    "unended_line": Fault("ValueError: after half a line (app.py:", "in unended_line"),
    "nest": Fault("ran out of stack: calls or data are nested too deep"),
    "huge_string": Fault(MEMORY, "in huge_string"),
    "large_string": Fault("returned more than 65536 bytes"),
    "many_readings": Fault("returned 20000 readings; expected 64 at most"),
    "many_values": Fault("returned more than 65536 bytes"),
    "huge_print": Fault(MEMORY, "in huge_print"),
    "long_print": Fault(SLOW),
    "endless_flood": Fault(SLOW),
    "nonsense": Fault("TypeError: poll(): found 'not a list', expected a list (app.py:"),
    "led_storm": Fault("made more than 1000 host calls in one poll"),
    "long_transfer": Fault("passed more data to the host in one call than may be copied"),
    "long_state": Fault(MEMORY),
}
# Mistakes in a reading cost the reading, not the plugin.
LASTING = {
    "not_finite": "odd: inf: found inf, expected a finite number",
    "nothing_finite": "odd: found no finite value",
    "complain": "no answer from the sensor",
}
BAD_IDS = ["", "a/b", "a+b", "#", "A", "x" * 10_000]


@pytest.fixture
def neighbours(runtime: Runtime, mischief_bundle: Path, tmp_path: Path) -> Neighbours:
    return Neighbours(runtime, mischief_bundle, tmp_path)


@pytest.mark.parametrize("mode", ENDING)
def test_a_fault_is_one_sentence_and_costs_no_other_plugin_a_cycle(
    neighbours: Neighbours, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    fault = ENDING[mode]
    hostile = neighbours.hostile
    with neighbours:
        hostile.mode(mode)
        if fault.says == SLOW:
            neighbours.beat_until(lambda: hostile.store.mode_read == mode)
            hostile.expire()
        neighbours.beat_until(lambda: hostile.state().state == "failed")
        error = hostile.state().error
        assert error.startswith(fault.says)
        assert "\n" not in error
        assert fault.traceback in own_lines(caplog)
        hostile.mode("count")
        hostile.samples.clear()
        hostile.ahead_s += 1.0
        neighbours.beat_until(hostile.is_running)
        assert hostile.samples[0].data == {"polls": 1.0}
        neighbours.beat_until(lambda: hostile.state().error == "")
    assert hostile.state().restarts == 1


def test_a_sleep_ends_at_the_deadline_and_leaves_no_thread_behind(
    runtime: Runtime, mischief_bundle: Path, tmp_path: Path
) -> None:
    limits = Limits(2.0, load_deadline_s=PATIENT_S)
    slept = "took longer than its deadline of 2 s, asleep"
    with Runtime(CACHE, limits) as impatient:
        neighbours = Neighbours(runtime, mischief_bundle, tmp_path, hostile_runtime=impatient)
        hostile = neighbours.hostile
        with neighbours:
            for _ in range(MAX_LEFT_BEHIND + 1):
                hostile.mode("sleep")
                neighbours.beat_until(lambda: hostile.state().error == slept)
                assert hostile.runner.left_behind == 0
                hostile.mode("count")
                hostile.ahead_s += 1000.0
                neighbours.beat_until(lambda: hostile.state().error == "")


@pytest.mark.parametrize("mode", LASTING)
def test_a_mistake_in_a_reading_is_said_and_the_plugin_polls_on(
    neighbours: Neighbours, mode: str
) -> None:
    hostile = neighbours.hostile
    with neighbours:
        hostile.mode(mode)
        neighbours.beat_until(lambda: hostile.state().error.startswith(LASTING[mode]))
        hostile.mode("count")
        neighbours.beat_until(lambda: hostile.state().error == "")
    assert hostile.state().restarts == 0


@pytest.mark.parametrize("sensor_id", BAD_IDS, ids=lambda text: text[:8])
def test_a_sensor_id_that_no_topic_holds_is_said_and_dropped(
    neighbours: Neighbours, sensor_id: str
) -> None:
    hostile = neighbours.hostile
    hostile.store.set("id", sensor_id)
    with neighbours:
        hostile.mode("named")
        neighbours.beat_until(lambda: hostile.state().error.startswith("sensor id "))
        assert len(hostile.state().error) < 200
        assert {sample.sensor_id for sample in hostile.samples} == {"counter"}


def test_infinity_is_absent_and_what_is_finite_is_kept(neighbours: Neighbours) -> None:
    hostile = neighbours.hostile
    with neighbours:
        hostile.mode("not_finite")
        neighbours.beat_until(lambda: hostile.samples[-1].sensor_id == "odd")
    assert hostile.samples[-1].data == {"fine": 1.5}


def test_a_flood_of_lines_is_cut_off_and_counted(
    neighbours: Neighbours, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "plugin.mischief")
    hostile = neighbours.hostile
    with neighbours:
        hostile.mode("flood")
        neighbours.beat_until(lambda: "line 99\n" in own_lines(caplog))
        hostile.mode("complain")
        neighbours.beat_until(lambda: hostile.state().error != "")
        logged = own_lines(caplog).count("\n")
        assert logged == Limits().log_lines_per_minute
        hostile.ahead_s += 60.0
        neighbours.beat_until(lambda: "more lines were dropped" in own_lines(caplog))
    dropped = int(own_lines(caplog).splitlines()[-1].split()[1])
    assert dropped >= 1000 - logged


def test_left_behind_threads_are_counted_and_bounded(
    neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile, get = neighbours.hostile, neighbours.hostile.store.get
    answers = [threading.Event() for _ in range(MAX_LEFT_BEHIND)]
    asked = queue.SimpleQueue[threading.Event]()
    waiting = iter(answers)

    def hang(key: str) -> str | None:
        answer = next(waiting, None)
        if answer is not None:
            asked.put(answer)
            answer.wait(WAIT_S)
        return get(key)

    with neighbours:
        monkeypatch.setattr(hostile.store, "get", hang)
        for number in range(1, MAX_LEFT_BEHIND + 1):
            said = f"{number} of at most {MAX_LEFT_BEHIND} hang so"
            neighbours.beat_until(lambda number=number: asked.qsize() == number)
            with hostile.impatient():
                neighbours.beat_until(lambda said=said: said in hostile.state().error)
            hostile.ahead_s += 1000.0
        assert "it is not started again before one ends" in hostile.state().error
        # The first of them comes back and makes room.
        answers[0].set()
        neighbours.beat_until(lambda: hostile.runner.left_behind < MAX_LEFT_BEHIND)
        neighbours.beat_until(lambda: hostile.state().state == "running")
        for answer in answers:
            answer.set()
        neighbours.beat_until(lambda: hostile.runner.left_behind == 0)
    assert hostile.state().restarts == MAX_LEFT_BEHIND


CHEAP = ["fail", "recurse", "leave", "nonsense", "huge_string", "large_string", "named"]


# Each of the faults that often, before and while the memory is watched.
WARM_UP_ROUNDS = 5
ROUNDS = 20
# A leaked store, component or traceback costs more.
MAX_KB_PER_FAULT = 5.0


def test_faults_cost_no_memory(runtime: Runtime, mischief_bundle: Path, tmp_path: Path) -> None:
    store = PluginStore(tmp_path / "mischief.json")
    store.set("id", "a/b")
    node = NodeParts(FakeHardware(), LedBuffer(8), None, None)
    imports = host_imports("mischief", EVERYTHING, node, store)

    def fail(number: int) -> None:
        store.set("mode", CHEAP[number % len(CHEAP)])
        with (
            runtime.load(mischief_bundle) as loaded,
            PluginInstance(loaded, imports, Limits(PATIENT_S), lambda _line: None) as instance,
            pytest.raises(HarvesterError),
        ):
            samples(instance.call("sensor-logic", "poll"), "mischief")

    def fail_in_each_way() -> float:
        for number in range(len(CHEAP)):
            fail(number)
        return resident_kb()

    for _ in range(WARM_UP_ROUNDS):
        fail_in_each_way()
    resident = [fail_in_each_way() for _ in range(ROUNDS)]
    # A leak grows in each round; what other threads of the process take comes in few of them.
    growths_kb = [after - before for before, after in pairwise(resident)]
    assert statistics.median(growths_kb) / len(CHEAP) < MAX_KB_PER_FAULT


def resident_kb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024


def own_lines(caplog: pytest.LogCaptureFixture) -> str:
    """Return what was logged as the plugin's own words."""
    return "".join(f"{r.getMessage()}\n" for r in caplog.records if r.name == "plugin.mischief")
