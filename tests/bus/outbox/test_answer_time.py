"""The wait for an answer follows the hub, within bounds."""

from bus.outbox.answer_time import AnswerTime


def answered(*took_s: float) -> AnswerTime:
    times = AnswerTime(6.0)
    now_s = 1000.0
    for seq, one_s in enumerate(took_s):
        times.sent(seq, now_s)
        times.stored([(seq, seq)], now_s + one_s)
        now_s += 100
    return times


def test_a_quick_hub_is_waited_for_as_configured() -> None:
    assert answered().wait_s == 6.0
    assert answered(0.5, 2.0, 3.9).wait_s == 6.0


def test_a_slow_hub_gets_more_time_but_not_without_end() -> None:
    assert answered(2.0, 8.0, 2.0).wait_s == 12.0
    assert answered(500.0).wait_s == 30.0


def test_the_wait_is_short_again_when_the_hub_has_caught_up() -> None:
    assert answered(8.0, *[2.0] * 7).wait_s == 12.0
    assert answered(8.0, *[2.0] * 8).wait_s == 6.0


def test_the_oldest_reading_of_an_answer_counts() -> None:
    times = AnswerTime(6.0)
    times.sent(1, 1000.0)
    times.sent(2, 1009.0)
    times.stored([(1, 2)], 1010.0)
    assert times.wait_s == 15.0


def test_what_another_connection_sent_does_not_count() -> None:
    times = AnswerTime(6.0)
    times.sent(1, 1000.0)
    times.restart()
    times.stored([(1, 1)], 1020.0)
    assert times.wait_s == 6.0


def test_old_answers_and_unknown_numbers_change_nothing() -> None:
    times = AnswerTime(6.0)
    times.sent(7, 1000.0)
    times.stored([(1, 6), (8, 90)], 1020.0)
    assert times.wait_s == 6.0


def test_what_is_remembered_is_bounded() -> None:
    times = AnswerTime(6.0)
    for seq in range(5000):
        times.sent(seq, float(seq))
    times.stored([(0, 3999)], 6000.0)
    assert times.wait_s == 6.0
    times.stored([(4000, 4000)], 4010.0)
    assert times.wait_s == 15.0
