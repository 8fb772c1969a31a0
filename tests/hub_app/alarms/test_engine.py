"""State machine of alarms: durations, hysteresis, freshness, acknowledgement, bounds."""

from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_app.alarms.engine import Active, Engine, Transition
from hub_app.alarms.rules import Rule
from tests.hub_app.alarms.samples import FRESH_MS, NOW_MS, WARM, at_once, begun, changes, seen


def test_an_alarm_begins_when_its_condition_has_lasted_long_enough() -> None:
    engine = Engine()
    assert engine.observe(seen(31.0), NOW_MS) is None
    assert engine.observe(seen(32.0, NOW_MS + 4999), NOW_MS + 4999) is None
    transition = engine.observe(seen(33.0, NOW_MS + 5000), NOW_MS + 5000)
    assert transition is not None
    alarm = transition.alarm
    assert (transition.change, alarm.name) == ("begun", "too-warm--air")
    assert (alarm.value, alarm.limit, alarm.since_ms) == (33.0, 30.0, NOW_MS)


def test_a_slow_sensor_needs_no_second_reading_for_its_alarm_to_begin() -> None:
    engine = Engine()
    engine.observe(seen(31.0), NOW_MS)
    assert engine.tick(NOW_MS + 4999) == []
    assert changes(engine.tick(NOW_MS + 5000)) == ["begun"]


def test_a_condition_that_was_over_meanwhile_begins_anew() -> None:
    engine = Engine()
    engine.observe(seen(31.0), NOW_MS)
    # Between clearing value and limit: not above the limit any more.
    engine.observe(seen(29.0, NOW_MS + 4000), NOW_MS + 4000)
    assert engine.observe(seen(31.0, NOW_MS + 5000), NOW_MS + 5000) is None
    assert engine.tick(NOW_MS + 9999) == []
    assert changes(engine.tick(NOW_MS + 10_000)) == ["begun"]


def test_a_sensor_that_fell_silent_begins_no_alarm() -> None:
    engine = Engine()
    rule = msgspec.structs.replace(WARM, for_s=60.0)
    engine.observe(seen(31.0, rule=rule), NOW_MS)
    assert engine.tick(NOW_MS + FRESH_MS + 1) == []
    assert engine.tick(NOW_MS + 60_000) == []
    # It was silent in between, so nobody knows that it was warm all the time.
    assert engine.observe(seen(31.0, NOW_MS + 60_000, rule=rule), NOW_MS + 60_000) is None


def test_a_late_reading_neither_begins_nor_ends_an_alarm() -> None:
    engine = Engine()
    late_ms = NOW_MS + FRESH_MS + 1
    assert engine.observe(seen(99.0, rule=at_once()), late_ms) is None
    begun(engine, at_ms=late_ms)
    assert engine.observe(seen(10.0), late_ms) is None
    assert len(engine.active) == 1


def test_an_alarm_ends_at_its_clearing_value_and_not_before() -> None:
    engine = Engine()
    begun(engine)
    assert engine.observe(seen(28.1), NOW_MS) is None
    transition = engine.observe(seen(28.0), NOW_MS)
    assert transition is not None
    assert transition.change == "ended"
    assert engine.active == []


def test_the_worst_value_is_kept() -> None:
    engine = Engine()
    begun(engine)
    engine.observe(seen(40.0), NOW_MS)
    engine.observe(seen(29.0), NOW_MS)
    (alarm,) = engine.active
    assert (alarm.value, alarm.worst) == (29.0, 40.0)


def test_of_a_lower_limit_the_worst_value_is_the_least() -> None:
    engine = Engine()
    cold = Rule("too-cold", "field", "page", field="temperature", below=5.0)
    engine.observe(seen(4.0, rule=cold), NOW_MS)
    engine.observe(seen(-3.0, rule=cold), NOW_MS)
    engine.observe(seen(2.0, rule=cold), NOW_MS)
    assert engine.active[0].worst == -3.0


def test_a_changing_value_is_told_at_most_every_ten_seconds() -> None:
    engine = Engine()
    begun(engine)
    told = [
        engine.observe(seen(35.0 + i, NOW_MS + 1000 * i), NOW_MS + 1000 * i) for i in range(1, 21)
    ]
    assert [t.alarm.value for t in told if t] == [45.0, 55.0]


def test_an_alarm_of_an_earlier_run_is_active_and_does_not_begin_again() -> None:
    known = msgspec.structs.replace(begun(Engine()), acknowledged_ms=NOW_MS, acknowledged_by="eva")
    engine = Engine([known])
    later_ms = NOW_MS + 3_600_000
    transition = engine.observe(seen(35.0, later_ms, rule=at_once()), later_ms)
    assert transition is None or transition.change == "changed"
    (alarm,) = engine.active
    assert (alarm.since_ms, alarm.acknowledged_by) == (known.since_ms, "eva")


def test_an_alarm_is_acknowledged_once() -> None:
    engine = Engine()
    key = begun(engine).key
    engine.acknowledge(key, "eva", NOW_MS + 1)
    alarm = engine.acknowledge(key, "adam", NOW_MS + 2).alarm
    assert (alarm.acknowledged_ms, alarm.acknowledged_by) == (NOW_MS + 1, "eva")
    with pytest.raises(KeyError):
        engine.acknowledge(("pi4", "other"), "eva", NOW_MS)


def test_a_changed_rule_is_told_of_an_active_alarm() -> None:
    engine = Engine()
    begun(engine)
    rule = msgspec.structs.replace(at_once(), severity="critical", above=31.0)
    transition = engine.observe(seen(35.0, rule=rule), NOW_MS)
    assert transition is not None
    assert (transition.alarm.severity, transition.alarm.limit) == ("critical", 31.0)


def test_several_sensors_of_one_rule_have_an_alarm_each() -> None:
    engine = Engine()
    begun(engine, subject="air")
    begun(engine, subject="door")
    begun(engine, node="pi5")
    assert {alarm.key for alarm in engine.active} == {
        ("pi4", "too-warm--air"),
        ("pi4", "too-warm--door"),
        ("pi5", "too-warm--air"),
    }


def test_a_node_has_a_bounded_number_of_alarms_and_an_ended_one_makes_room() -> None:
    refused: list[tuple[str, str]] = []
    engine = Engine((), 2, lambda *one: refused.append(one))
    begun(engine, subject="a")
    engine.observe(seen(35.0, subject="b"), NOW_MS)
    assert engine.observe(seen(35.0, rule=at_once(), subject="c"), NOW_MS) is None
    assert refused == [("pi4", "too-warm--c")]
    begun(engine, node="pi5", subject="c")
    engine.observe(seen(20.0, subject="b"), NOW_MS)
    begun(engine, subject="c")
    engine.observe(seen(20.0, subject="a"), NOW_MS)
    begun(engine, subject="d")


def test_what_is_gone_ends_and_is_not_awaited() -> None:
    engine = Engine()
    begun(engine, subject="a")
    engine.observe(seen(35.0, subject="b"), NOW_MS)
    engine.forget_pending(lambda one: one.node == "pi4")
    ended = engine.remove(lambda alarm: alarm.node == "pi4", NOW_MS)
    assert changes(ended) == ["removed"]
    assert engine.tick(NOW_MS + 6000) == []


def test_a_clock_that_is_set_changes_no_duration() -> None:
    engine = Engine()
    engine.observe(seen(31.0), NOW_MS)
    hour_ms = 3_600_000
    engine.shift(hour_ms)
    assert engine.tick(NOW_MS + hour_ms + 4999) == []
    assert changes(engine.tick(NOW_MS + hour_ms + 5000)) == ["begun"]


Step = tuple[int, float]
STEPS = st.lists(st.tuples(st.integers(0, 4000), st.floats(20, 40)), max_size=60)


def wave(steps: list[Step]) -> tuple[list[tuple[int, float]], list[Transition]]:
    """Return the samples with their times, and what an engine makes of them."""
    engine, now_ms = Engine(), NOW_MS
    samples: list[tuple[int, float]] = []
    transitions: list[Transition | None] = []
    for wait_ms, value in steps:
        now_ms += wait_ms
        samples.append((now_ms, value))
        transitions += engine.tick(now_ms)
        transitions.append(engine.observe(seen(value, now_ms), now_ms))
    return samples, [t for t in transitions if t is not None and t.change != "changed"]


@given(STEPS)
def test_begin_and_end_alternate(steps: list[Step]) -> None:
    _, transitions = wave(steps)
    expected: list[Literal["begun", "ended"]] = ["begun", "ended"]
    assert changes(transitions) == [expected[i % 2] for i in range(len(transitions))]


@given(STEPS)
def test_no_alarm_begins_unless_the_limit_was_exceeded_all_the_time(steps: list[Step]) -> None:
    samples, transitions = wave(steps)
    for begin in (t for t in transitions if t.change == "begun"):
        since_ms = begin.alarm.since_ms
        # Of several values of one time, the last one began it.
        during = [v for at, v in samples if at == since_ms][-1:]
        during += [v for at, v in samples if since_ms < at < begin.at_ms]
        assert begin.at_ms - since_ms >= WARM.for_ms
        assert during
        assert min(during) > 30.0


@given(STEPS)
def test_no_alarm_ends_above_its_clearing_value(steps: list[Step]) -> None:
    samples, transitions = wave(steps)
    values = dict(reversed(samples))
    for end in (t for t in transitions if t.change == "ended"):
        at_end = [v for at, v in samples if at == end.at_ms]
        assert min(at_end) <= 28.0
        assert end.at_ms in values


@given(STEPS, st.integers(FRESH_MS + 1, 10**9))
def test_a_backlog_changes_nothing(steps: list[Step], late_ms: int) -> None:
    engine = Engine()
    known: Active = begun(engine, subject="other")
    now_ms = NOW_MS
    for wait_ms, value in steps:
        now_ms += wait_ms
        assert engine.observe(seen(value, now_ms), now_ms + late_ms) is None
        assert engine.tick(now_ms + late_ms) == []
    assert engine.active == [known]
