"""Deadline of one poll's bus transfers, so that a poll ends before the host cuts it off.

Pure: the time is passed in.
"""

# A host cuts a poll off after 1 s (plugins.poll_deadline_s). One transfer may take 0.25 s, and so
# may one of another plugin that has to end before it.
LIMIT_S = 0.6


class DeadlineExceededError(Exception):
    """The device answers, but the poll would take too long."""


class PollDeadline:
    """Deadline of one poll, `limit_s` after `begin`. `now_s` is a monotonic clock's, in seconds."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._until_s = 0.0

    def begin(self, now_s: float) -> None:
        self._until_s = now_s + self._limit_s

    def check(self, now_s: float) -> None:
        """Raise DeadlineExceededError after the deadline; call this before each transfer."""
        if now_s > self._until_s:
            raise DeadlineExceededError(f"the bus is too slow: not done within {self._limit_s:g} s")
