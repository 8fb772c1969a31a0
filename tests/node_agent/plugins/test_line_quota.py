"""Lines a minute, on a clock that the test holds."""

from node_agent.plugins.line_quota import LineQuota


def test_so_many_lines_a_minute_and_no_more() -> None:
    quota = LineQuota(3)
    assert [quota.admit(10.0 + n) for n in range(5)] == [True, True, True, False, False]


def test_the_next_minute_begins_with_its_first_line() -> None:
    quota = LineQuota(1)
    assert [quota.admit(at_s) for at_s in (0.0, 59.9, 60.0, 61.0)] == [True, False, True, False]


def test_what_was_dropped_is_said_once_when_its_minute_is_over() -> None:
    quota = LineQuota(1)
    for at_s in (0.0, 1.0, 2.0):
        quota.admit(at_s)
    assert [quota.dropped(at_s) for at_s in (3.0, 60.0, 61.0)] == [0, 2, 0]


def test_nothing_dropped_is_nothing_said() -> None:
    quota = LineQuota(1)
    quota.admit(0.0)
    assert quota.dropped(60.0) == 0
