import logging

import pytest

from bus.limited_log import LimitedLog

LIMIT = "the limit is"


class Clock:
    """Monotonic seconds that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def limited(clock: Clock, lines: int) -> LimitedLog:
    return LimitedLog(logging.getLogger("limited"), lines, clock)


def test_a_key_has_its_lines_a_minute_and_then_one_with_the_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    bounded = limited(clock, 2)
    for n in range(10):
        bounded.warning("flood", "line %d", n)
    bounded.warning("other", "another key")
    clock.now_s = 61.0
    bounded.sweep()
    bounded.warning("flood", "line %d", 99)
    assert caplog.messages == [
        *("line 0", "line 1", "another key"),
        *("flood: 8 more lines were dropped in one minute; the limit is 2", "line 99"),
    ]


def test_the_next_minute_begins_with_its_first_line(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    bounded = limited(clock, 1)
    for clock.now_s in (0.0, 59.9, 60.0, 61.0):
        bounded.warning("key", "at %.1f", clock.now_s)
    lines = [text for text in caplog.messages if LIMIT not in text]
    assert lines == ["at 0.0", "at 60.0"]


def test_the_dropped_lines_are_counted_once_when_their_minute_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    bounded = limited(clock, 1)
    for clock.now_s in (0.0, 1.0, 2.0):
        bounded.warning("key", "line")
    seen = []
    for clock.now_s in (3.0, 60.0, 61.0):
        caplog.clear()
        bounded.sweep()
        seen.append(caplog.messages)
    expected = ["key: 2 more lines were dropped in one minute; the limit is 1"]
    assert seen == [[], expected, []]


def test_a_minute_without_dropped_lines_is_not_mentioned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    bounded = limited(clock, 1)
    bounded.warning("key", "line")
    clock.now_s = 60.0
    bounded.sweep()
    assert caplog.messages == ["line"]


def test_keys_beyond_the_bound_share_one_key(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    bounded = limited(clock, 1)
    for n in range(1000):
        key = f"topic {n}"
        bounded.warning(key, "line %d", n)
    assert len(caplog.messages) == 257
    clock.now_s = 60.0
    bounded.warning("topic 1000", "line 1000")
    assert caplog.messages[-1] == "line 1000"


def test_an_exception_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    bounded = limited(Clock(), 1)
    try:
        int("boom")
    except ValueError:
        bounded.exception("key", "failed")
        bounded.exception("key", "failed")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "boom" in caplog.text
