import pytest

from bus.config.broker_table import Share
from hub_app.bus_link.worker import Worker
from hub_app.bus_link.worker_client import ForeignAnswers

TOPIC = "harvester/pi4/stored"


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def answers(clock: Clock) -> ForeignAnswers:
    return ForeignAnswers(Worker("revpi", Share(1, 2)), clock)


def test_own_answers_that_come_back_are_no_problem(answers: ForeignAnswers, clock: Clock) -> None:
    for _ in range(20):
        answers.sent(TOPIC, b"same")
        answers.sent(TOPIC, b"same")
        answers.received(TOPIC, b"same")
        answers.received(TOPIC, b"same")
        clock.now_s += 1
    assert not answers.problem


def test_another_hub_that_answers_is_named_once_in_the_log(
    answers: ForeignAnswers, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        answers.received(TOPIC, b"foreign")
        clock.now_s += 1
    assert answers.problem.startswith("another hub answers pi4, which worker 1/2 has")
    assert [record.getMessage() for record in caplog.records] == [answers.problem]


def test_the_problem_is_over_when_the_other_is_silent(
    answers: ForeignAnswers, clock: Clock
) -> None:
    for _ in range(20):
        answers.received(TOPIC, b"foreign")
        clock.now_s += 1
    clock.now_s += 60
    assert not answers.problem


def test_answers_that_were_on_their_way_at_the_start_are_no_problem(
    answers: ForeignAnswers, clock: Clock
) -> None:
    for _ in range(20):
        answers.received(TOPIC, b"of the time before")
    clock.now_s += 1
    assert not answers.problem


def test_the_same_answer_of_two_hubs_is_told_apart(answers: ForeignAnswers, clock: Clock) -> None:
    for _ in range(20):
        answers.sent(TOPIC, b"both")
        answers.received(TOPIC, b"both")
        answers.received(TOPIC, b"both")
        clock.now_s += 1
    assert answers.problem
