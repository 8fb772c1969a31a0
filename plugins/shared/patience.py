"""How long one poll may keep a bus waiting, so that it ends by itself before the host cuts it off.

It knows no clock: the caller passes the time in.
"""

# A host cuts a poll off after 1 s (plugins.poll_deadline_s). One transfer may take 0.25 s, and so
# may one of another plugin that has to end before it.
LIMIT_S = 0.6


class TooSlowError(Exception):
    """The device answers, but the poll would take too long."""


class Patience:
    """The time of one poll, from `begin` on. `now_s` is a monotonic clock's, in seconds."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._until_s = 0.0

    def begin(self, now_s: float) -> None:
        self._until_s = now_s + self._limit_s

    def check(self, now_s: float) -> None:
        """Raise TooSlowError where the time is up; ask before each transfer."""
        if now_s > self._until_s:
            raise TooSlowError(f"the bus is too slow: not done within {self._limit_s:g} s")
