import logging
from types import SimpleNamespace

import pytest

from bus.limited_log import LimitedLog
from node_agent.plugins.poll_output import PollOutput
from node_agent.plugins.readings import Sample
from node_agent.plugins.sensor_owners import SensorOwners


def output(found: list[Sample], *, is_published: bool = True) -> PollOutput:
    log = LimitedLog(logging.getLogger("plugin.light"), 2)
    return PollOutput(
        "light",
        lambda samples, _: found.extend(samples),
        log,
        owners=SensorOwners(),
        is_published=is_published,
    )


def record(**fields: object) -> SimpleNamespace:
    return SimpleNamespace(**{"timestamp-ms": 1, **fields})


def test_readings_are_passed_on() -> None:
    found: list[Sample] = []
    made = output(found)
    made.accept(record(lux=5.0))
    assert found == [Sample("light", 1, {"lux": 5.0})]
    assert made.fault == ""


def test_readings_of_a_component_on_trial_are_not_passed_on_until_it_is_published() -> None:
    found: list[Sample] = []
    made = output(found, is_published=False)
    made.accept(record(lux=5.0))
    assert found == []
    made.is_published = True
    made.accept(record(lux=6.0))
    assert [sample.data for sample in found] == [{"lux": 6.0}]


def test_a_poll_without_a_reading_has_the_last_line_as_its_fault() -> None:
    made = output([])
    made.accept([])
    assert made.fault == "returned no reading"
    made.log_line("no answer from the sensor")
    made.accept([])
    assert made.fault == "no answer from the sensor"


def test_a_poll_that_could_tell_an_err_may_be_empty() -> None:
    made = output([])
    made.may_be_empty = True
    made.log_line("the bell rang")
    made.accept([])
    assert made.is_empty
    assert made.fault == ""
    made.accept("the chip does not answer")
    assert not made.is_empty
    assert made.fault == "the chip does not answer"


def test_a_line_from_before_the_last_reading_is_not_the_fault() -> None:
    made = output([])
    made.log_line("a warning")
    made.accept(record(lux=5.0))
    made.accept([])
    assert made.fault == "returned no reading"


def test_a_problem_is_logged_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    made = output([])
    for _ in range(3):
        made.accept("the chip does not answer")
    assert made.fault == "the chip does not answer"
    made.accept(record(lux=5.0))
    first, last = caplog.messages
    assert first == "plugin light: fault: the chip does not answer"
    assert last.startswith("plugin light: works again after")


def test_lines_are_limited(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    made = output([])
    for n in range(5):
        made.log_line(f"line {n}")
    assert caplog.messages == ["line 0", "line 1"]


@pytest.mark.parametrize("is_published", [True, False])
def test_a_setting_that_the_plugin_refuses_is_told_once_its_trial_is_over(
    is_published: bool,
) -> None:
    refused: list[tuple[str, str]] = []
    log = LimitedLog(logging.getLogger("plugin.oled"), 60)
    made = PollOutput(
        "oled",
        lambda _samples, _described: None,
        log,
        owners=SensorOwners(),
        is_published=is_published,
        on_refusal=lambda setting, reason: refused.append((setting, reason)),
    )
    made.log_line("setting lines: found 'x y', expected sensors")
    made.log_line("setting the table")
    assert bool(refused) is is_published
    made.publish()
    assert set(refused) == {("lines", "found 'x y', expected sensors")}
