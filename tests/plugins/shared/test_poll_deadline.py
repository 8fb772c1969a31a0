"""Deadline of a poll: it ends before the host cuts it off."""

import pytest

from plugins.shared.poll_deadline import DeadlineExceededError, PollDeadline


def test_the_deadline_is_the_limit_after_the_poll_began() -> None:
    deadline = PollDeadline(0.6)
    deadline.begin(100.0)
    deadline.check(100.6)
    with pytest.raises(DeadlineExceededError, match=r"not done within 0\.6 s"):
        deadline.check(100.61)


def test_each_poll_has_its_own_deadline() -> None:
    deadline = PollDeadline(0.6)
    deadline.begin(100.0)
    deadline.begin(102.0)
    deadline.check(102.5)


def test_nothing_may_be_sent_before_a_poll_began() -> None:
    with pytest.raises(DeadlineExceededError):
        PollDeadline().check(1.0)
