"""Coverage against what was done to a node: a day of faults, disables, reloads, kills and cuts.

A simulated node sends the messages that a real one would; the history is driven with them. It
knows of each sample what became of it, which coverage has to find out from the messages.
"""

import contextlib
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bus.contract.messages import Heartbeat, PluginPhase, PluginState, Reading, Status
from bus.contract.topics import Topic, TopicKind
from hub_app.history.coverage.coverage import CoverageKind, SensorCoverage
from hub_app.history.coverage.query import coverage_of
from hub_app.history.events import HUB, Event, EventDetector
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer

START = 1_795_000_200_000
CYCLE_MS = 10_000
# What is done to the node is done that long before a poll; what is heard, after it.
_BEFORE_MS = 100
_AFTER_MS = 50
# The broker notices a cut after that many cycles, and publishes the last will.
_WILL_CYCLES = 4
CYCLES_OF_A_DAY = 8640


class SimulatedNode:
    """A node with the sensor `air` of the plugin `air`, and the hub that hears it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.truth: list[CoverageKind] = []
        self._db = db
        self._writer = Writer(db)
        self._detector = EventDetector()
        self._runs = 0
        self._sensor_works = True
        self._is_on = self._is_linked = self._hub_is_on = False
        self._state = PluginState("loading", "", 0, 0)
        self._status = Status("offline", "spoke", "1.0", "", 0)
        self._retained: dict[Topic, Status | PluginState] = {}
        self._seq = 0
        self._outbox: list[tuple[int, Reading]] = []
        self._cut_for = 0
        self.start_hub()
        self.link()
        self.start()

    @property
    def now_ms(self) -> int:
        return START + len(self.truth) * CYCLE_MS

    # What can be done to it.

    def start(self) -> None:
        self._runs += 1
        self._seq = 0
        since_ms = self.now_ms - 3 * _BEFORE_MS
        self._is_on = True
        self._status = Status(
            "online", "spoke", "1.0", f"boot{self._runs}", since_ms, CYCLE_MS / 1000
        )
        self._state = PluginState("loading", "", 0, 0, "", since_ms)
        self._say_everything()

    def kill(self) -> None:
        self._is_on = False
        self._publish_will()

    def cut(self) -> None:
        self._is_linked, self._cut_for = False, 0

    def link(self, *, is_told_late: bool = False) -> None:
        """Mend the link; with `is_told_late` a heartbeat comes before the plugin's state."""
        self._is_linked = True
        if is_told_late and self._is_on:
            self._publish(Topic("pi4", TopicKind.STATUS), self._status)
            self.live(1)
        self._say_everything()

    def stop_hub(self, *, clean: bool) -> None:
        if clean:
            self._record(Event("revpi", self._told_ms, HUB, "", "stopped"))
        self._hub_is_on = False

    def start_hub(self) -> None:
        self._hub_is_on = True
        self._detector = EventDetector()
        self._record(Event("revpi", self._told_ms, HUB, "", "started"))
        for topic, message in self._retained.items():
            self._hear(topic, message)
        self._say_everything()

    def break_sensor(self) -> None:
        self._sensor_works = False

    def mend_sensor(self) -> None:
        self._sensor_works = True

    def set_plugin(self, state: PluginPhase) -> None:
        restarts = self._state.restarts + (state == "failed")
        self._state = PluginState(state, "", 0, restarts, "", self._told_ms)
        self._say_everything()

    def live(self, cycles: int) -> None:
        for _ in range(cycles):
            self._poll()

    # How it lives.

    @property
    def _told_ms(self) -> int:
        return self.now_ms - _BEFORE_MS

    @property
    def _is_heard(self) -> bool:
        return self._is_on and self._is_linked and self._hub_is_on

    def _poll(self) -> None:
        at_ms = self.now_ms
        self.truth.append(self._reason())
        if self.truth[-1] == "there":
            reading = Reading("pi4", "air", at_ms, f"s{self._runs}", self._seq, {"t": 1.0}, "air")
            self._seq += 1
            self._outbox.append((len(self.truth) - 1, reading))
        if not self._is_linked:
            self._cut_for += 1
            if self._cut_for == _WILL_CYCLES:
                self._publish_will()
        if self._is_heard:
            self._deliver(at_ms)
        if self._hub_is_on:
            self._record(*self._detector.sweep(at_ms + 2 * _AFTER_MS))
        if self._is_on and self._state.state == "loading":
            self._state = PluginState("running", "", 0, self._state.restarts, "", at_ms + _AFTER_MS)
            self._say_everything(at_ms + _AFTER_MS)

    def _reason(self) -> CoverageKind:
        if not self._is_on:
            return "off"
        if self._state.state == "running":
            return "there" if self._sensor_works else "fault"
        return self._state.state

    def _deliver(self, at_ms: int) -> None:
        for cycle, reading in self._outbox:
            is_late = reading.timestamp_ms < at_ms
            if is_late:
                self.truth[cycle] = "late"
            self._writer.store([Arrival(reading, is_late)], [], at_ms)
        self._outbox = []
        beat = Heartbeat(0, 1.0, 1.0, 1.0, 0, 0, at_ms)
        self._hear(Topic("pi4", TopicKind.HEARTBEAT), beat, at_ms + _AFTER_MS)

    def _say_everything(self, at_ms: int | None = None) -> None:
        if self._is_on and self._is_linked:
            self._publish(Topic("pi4", TopicKind.STATUS), self._status, at_ms)
            self._publish(Topic("pi4", TopicKind.PLUGIN, "air"), self._state, at_ms)

    def _publish_will(self) -> None:
        will = msgspec.structs.replace(self._status, state="offline")
        self._publish(Topic("pi4", TopicKind.STATUS), will)

    def _publish(
        self, topic: Topic, message: Status | PluginState, at_ms: int | None = None
    ) -> None:
        if self._hub_is_on:
            self._retained[topic] = message
            self._hear(topic, message, at_ms)

    def _hear(
        self, topic: Topic, message: Status | PluginState | Heartbeat, at_ms: int | None = None
    ) -> None:
        heard_ms = self._told_ms if at_ms is None else at_ms
        self._record(*self._detector.on_message(topic, message, heard_ms))

    def _record(self, *events: Event) -> None:
        if events:
            self._writer.store([], events, self.now_ms)


def do_something(node: SimulatedNode, chance: random.Random) -> None:
    """Do one thing to the node, and undo it."""
    length = chance.choice([1, 3, 4, 5, 20, 60, 210])
    what = chance.choice(sorted(_DEEDS))
    _DEEDS[what](node, length)


def fault(node: SimulatedNode, length: int) -> None:
    node.break_sensor()
    node.live(length)
    node.mend_sensor()


def disable(node: SimulatedNode, length: int) -> None:
    node.set_plugin("disabled")
    node.live(length)
    node.set_plugin("loading")


def reload(node: SimulatedNode, _length: int) -> None:
    node.set_plugin("loading")
    node.live(1)


def fail(node: SimulatedNode, length: int) -> None:
    node.set_plugin("failed")
    node.live(length)
    node.set_plugin("running")


def kill(node: SimulatedNode, length: int) -> None:
    node.kill()
    node.live(length)
    node.start()


def cut(node: SimulatedNode, length: int) -> None:
    node.cut()
    node.live(length)
    node.link()


def fault_in_a_cut(node: SimulatedNode, length: int) -> None:
    node.cut()
    node.live(5)
    fault(node, length)
    node.live(5)
    node.link()


def failure_in_a_cut(node: SimulatedNode, length: int) -> None:
    node.cut()
    node.live(5)
    fail(node, length)
    node.live(5)
    node.link()


def failure_in_a_cut_told_late(node: SimulatedNode, length: int) -> None:
    node.cut()
    node.live(5)
    fail(node, length)
    node.link(is_told_late=True)


def kill_in_a_cut(node: SimulatedNode, length: int) -> None:
    node.cut()
    node.live(5)
    kill(node, length)
    node.live(5)
    node.link()


def disabled_through_a_cut(node: SimulatedNode, length: int) -> None:
    node.set_plugin("disabled")
    node.live(2)
    cut(node, length)
    node.live(2)
    node.set_plugin("loading")


def hub_restart(node: SimulatedNode, length: int) -> None:
    node.stop_hub(clean=True)
    node.live(length)
    node.start_hub()


def hub_kill(node: SimulatedNode, length: int) -> None:
    node.stop_hub(clean=False)
    node.live(length)
    node.start_hub()


def kill_while_the_hub_is_off(node: SimulatedNode, length: int) -> None:
    node.stop_hub(clean=True)
    node.live(2)
    kill(node, length)
    node.live(3)
    node.start_hub()


def hub_restart_while_off(node: SimulatedNode, length: int) -> None:
    node.kill()
    node.live(5)
    hub_restart(node, length)
    node.live(10)
    node.start()


def fault_while_the_hub_is_off(node: SimulatedNode, length: int) -> None:
    node.stop_hub(clean=False)
    node.live(2)
    fault(node, length)
    node.live(2)
    node.start_hub()


def kill_in_a_fault(node: SimulatedNode, length: int) -> None:
    node.break_sensor()
    node.live(length)
    kill(node, length)
    node.live(length)
    node.mend_sensor()


_DEEDS = {
    deed.__name__: deed
    for deed in (
        *(fault, disable, reload, fail, kill, cut, hub_restart, hub_kill),
        *(
            fault_in_a_cut,
            failure_in_a_cut,
            failure_in_a_cut_told_late,
            kill_in_a_cut,
            disabled_through_a_cut,
        ),
        *(kill_while_the_hub_is_off, hub_restart_while_off, fault_while_the_hub_is_off),
        kill_in_a_fault,
    )
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[SimulatedNode]:
    with contextlib.closing(open_history(tmp_path / "history.db")) as db:
        # The day is a hundred thousand small commits, none of which has to survive a power cut.
        db.execute("PRAGMA synchronous=OFF")
        made = SimulatedNode(db)
        made.live(10)
        yield made


def covered(node: SimulatedNode, now_ms: int | None = None) -> SensorCoverage:
    end_ms = START + len(node.truth) * CYCLE_MS
    later_ms = end_ms + 60_000 if now_ms is None else now_ms
    (sensor,) = coverage_of(node._db, "pi4", START, end_ms, later_ms).sensors
    return sensor


def kinds(node: SimulatedNode) -> list[CoverageKind]:
    """Return what coverage says of each sample since the first one."""
    return [kind for *_, kind, count in covered(node).spans for _ in range(count)]


def check(node: SimulatedNode) -> None:
    # The first poll found the plugin loading; the sensor began with the second.
    assert kinds(node) == node.truth[1:]


@pytest.mark.parametrize("what", sorted(_DEEDS))
@pytest.mark.parametrize("length", [1, 4, 21, 210])
def test_what_was_done_to_a_node_is_why_its_samples_are_missing(
    node: SimulatedNode, what: str, length: int
) -> None:
    _DEEDS[what](node, length)
    node.live(30)
    check(node)


@pytest.mark.parametrize("seed", range(6))
def test_a_day_of_faults_disables_reloads_kills_and_cuts_is_told_as_it_was(
    node: SimulatedNode, seed: int
) -> None:
    chance = random.Random(seed)
    while len(node.truth) < CYCLES_OF_A_DAY:
        do_something(node, chance)
        node.live(chance.randint(10, 60))
    node.live(30)
    check(node)


@pytest.mark.parametrize(
    ("deed", "kind"),
    [
        (SimulatedNode.break_sensor, "fault"),
        (lambda node: node.set_plugin("disabled"), "disabled"),
        (lambda node: node.set_plugin("failed"), "failed"),
        (SimulatedNode.cut, "waiting"),
        (SimulatedNode.kill, "waiting"),
    ],
)
def test_what_lasts_until_now_is_told_as_far_as_it_can_be_known(
    node: SimulatedNode, deed: object, kind: str
) -> None:
    deed(node)  # type: ignore[operator]
    node.live(200)
    assert [found for *_, found, count in covered(node).spans if count] == ["there", kind]


def test_a_plugin_that_does_not_tell_since_when_it_runs_is_not_taken_for_loading(
    node: SimulatedNode,
) -> None:
    node.stop_hub(clean=True)
    node.live(2)
    node.kill()
    node.live(2)
    node.start()
    node.live(2)
    fault(node, 60)
    # An older agent.
    node._state = msgspec.structs.replace(node._state, since_ms=0)
    node.start_hub()
    node.live(5)
    counts = covered(node).counts
    assert "loading" not in counts
    # The first poll after the start, which had no reading, is one of them.
    assert counts["fault"] == 61


def test_after_a_week_of_silence_nothing_is_still_to_come(node: SimulatedNode) -> None:
    node.kill()
    node.live(200)
    later_ms = node.now_ms + 8 * 86_400_000
    assert [found for *_, found, n in covered(node, later_ms).spans if n] == ["there", "off"]
