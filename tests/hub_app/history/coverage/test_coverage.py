"""Coverage: the reasons for missing samples, and spans without gap or overlap."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.config.history_table import HistoryConfig
from bus.contract.messages import Reading
from hub_app.history.coverage.coverage import SensorCoverage
from hub_app.history.coverage.query import UnknownNodeError, coverage_of
from hub_app.history.events import DROPPED, PLUGIN, RESTORED, Event
from hub_app.history.retention.housekeeping import Housekeeping
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer

START = 1_795_000_200_000
CYCLE = 2000
DAY = 86_400_000


class NodeScenario:
    """A node `pi4` with the sensors `air` and `cpu`, in cycles of 2 s."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.writer = Writer(db)
        self.seq = 0
        self.stream = "s"

    def run(self, first: int, last: int, *sensors: str, late: bool = False) -> None:
        arrivals = []
        for cycle in range(first, last):
            for sensor in sensors or ("air", "cpu"):
                stamp = START + cycle * CYCLE
                reading = Reading(
                    "pi4", sensor, stamp, self.stream, self.seq, {"t": 1.0}, f"{sensor}-plugin"
                )
                arrivals.append(Arrival(reading, late))
                self.seq += 1
        self.writer.store(arrivals, [], START + last * CYCLE)

    def add_event(self, cycle: int, kind: str, subject: str = "", detail: str = "") -> None:
        event = Event("pi4", START + cycle * CYCLE, kind, subject, detail)
        self.writer.store([], [event], START + cycle * CYCLE)

    def downsample(self, cycle: int) -> None:
        now = START + cycle * CYCLE
        self.writer.store([], [], now)
        housekeeping = Housekeeping(self.db, HistoryConfig())
        while housekeeping.step(now, now):
            pass

    def covered(self, cycles: int, now: int | None = None) -> dict[str, SensorCoverage]:
        end = START + cycles * CYCLE
        found = coverage_of(self.db, "pi4", START, end, end + DAY if now is None else now)
        return {sensor.sensor_id: sensor for sensor in found.sensors}


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[NodeScenario]:
    with contextlib.closing(open_history(tmp_path / "history.db")) as db:
        yield NodeScenario(db)


def kinds(sensor: SensorCoverage) -> list[tuple[str, int]]:
    return [(kind, count) for _, _, kind, count in sensor.spans]


@pytest.mark.parametrize("downsampled", [False, True])
def test_a_day_without_a_gap_is_one_span(scenario: NodeScenario, downsampled: bool) -> None:
    scenario.run(0, 900)
    if downsampled:
        scenario.downsample(1200)
    for sensor in scenario.covered(900).values():
        assert kinds(sensor) == [("there", 900)]
        assert sensor.interval_ms == CYCLE


def test_what_came_later_is_late(scenario: NodeScenario) -> None:
    scenario.run(0, 100)
    scenario.run(100, 200, late=True)
    scenario.run(200, 300)
    assert kinds(scenario.covered(300)["pi4:air"]) == [
        ("there", 100),
        ("late", 100),
        ("there", 100),
    ]


def test_a_node_that_was_off_gave_out_no_numbers(scenario: NodeScenario) -> None:
    scenario.run(0, 100)
    scenario.stream, scenario.seq = "t", 0
    scenario.run(150, 200)
    assert kinds(scenario.covered(200)["pi4:air"]) == [("there", 100), ("off", 50), ("there", 50)]


def test_numbers_that_are_missing_were_dropped_or_are_on_their_way(scenario: NodeScenario) -> None:
    scenario.run(0, 100)
    scenario.seq += 100
    scenario.run(150, 200)
    assert kinds(scenario.covered(200)["pi4:air"])[1] == ("waiting", 50)
    scenario.add_event(200, DROPPED, "", "100")
    assert kinds(scenario.covered(200)["pi4:air"])[1] == ("dropped", 50)


def test_what_was_stored_after_the_backup_that_was_restored_is_not_waited_for(
    scenario: NodeScenario,
) -> None:
    scenario.run(0, 100)
    scenario.seq += 100
    scenario.run(150, 200)
    scenario.add_event(150, RESTORED, "", str(START + 100 * CYCLE))
    assert kinds(scenario.covered(200)["pi4:air"]) == [
        ("there", 100),
        ("restored", 50),
        ("there", 50),
    ]


def test_a_sensor_alone_has_a_fault_or_its_plugin_has(scenario: NodeScenario) -> None:
    scenario.run(0, 100)
    scenario.run(100, 150, "cpu")
    scenario.add_event(150, PLUGIN, "air-plugin", "failed: no answer")
    scenario.run(150, 200, "cpu")
    scenario.add_event(200, PLUGIN, "air-plugin", "running")
    scenario.run(200, 300)
    found = scenario.covered(300)
    assert kinds(found["pi4:air"]) == [
        ("there", 100),
        ("fault", 50),
        ("failed", 50),
        ("there", 100),
    ]
    assert found["pi4:air"].counts == {"there": 200, "fault": 50, "failed": 50}
    assert kinds(found["pi4:cpu"]) == [("there", 300)]


def test_a_node_that_is_silent_now_may_still_hold_its_samples(scenario: NodeScenario) -> None:
    scenario.run(0, 100)
    found = scenario.covered(200, now=START + 200 * CYCLE)["pi4:air"]
    assert [kind for kind, _ in kinds(found)] == ["there", "waiting", "none"]


def test_nothing_was_expected_before_a_sensor_began(scenario: NodeScenario) -> None:
    scenario.run(50, 100)
    assert kinds(scenario.covered(100)["pi4:air"]) == [("none", 0), ("there", 50)]


def test_one_missing_sample_is_seen(scenario: NodeScenario) -> None:
    scenario.run(0, 70)
    scenario.run(70, 71, "cpu")
    scenario.run(71, 450)
    scenario.downsample(900)
    assert kinds(scenario.covered(450)["pi4:air"]) == [("there", 70), ("fault", 1), ("there", 379)]


def test_an_unknown_node_is_named(scenario: NodeScenario) -> None:
    with pytest.raises(UnknownNodeError, match="nowhere"):
        coverage_of(scenario.db, "nowhere", 0, 1, 1)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 200), st.sampled_from(["all", "cpu", "off", "late"]))))
def test_spans_follow_one_another_and_every_reading_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory, chapters: list[tuple[int, str]]
) -> None:
    path = tmp_path_factory.mktemp("scenario") / "history.db"
    with contextlib.closing(open_history(path)) as db:
        scenario = NodeScenario(db)
        scenario.run(0, 10)
        cycle, stored = 10, 10
        for length, what in chapters:
            if what != "off":
                sensors = ("cpu",) if what == "cpu" else ()
                scenario.run(cycle, cycle + length, *sensors, late=what == "late")
                stored += 0 if what == "cpu" else length
            cycle += length
        found = scenario.covered(cycle)["pi4:air"]
    assert found.spans[0][0] == START
    assert found.spans[-1][1] == START + cycle * CYCLE
    for before, after in zip(found.spans, found.spans[1:], strict=False):
        assert before[1] == after[0]
        assert before[2] != after[2]
    assert sum(count for *_, kind, count in found.spans if kind in ("there", "late")) == stored
