"""How many lines a plugin may log a minute, and how many were too many. Pure: it takes the time."""

import threading

_WINDOW_S = 60.0


class LineQuota:
    """Counts lines in minutes that begin with a line. Any thread may call."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._began_s: float | None = None
        self._lines = 0
        self._dropped = 0
        self._lock = threading.Lock()

    def admit(self, now_s: float) -> bool:
        """Count a line; return whether it may be logged."""
        with self._lock:
            if self._began_s is None or now_s - self._began_s >= _WINDOW_S:
                self._began_s, self._lines = now_s, 0
            self._lines += 1
            if self._lines <= self.per_minute:
                return True
            self._dropped += 1
            return False

    def dropped(self, now_s: float) -> int:
        """Return how many lines were dropped in a minute that is over, once; else 0."""
        with self._lock:
            if self._began_s is None or now_s - self._began_s < _WINDOW_S:
                return 0
            self._began_s = None
            dropped, self._dropped = self._dropped, 0
            return dropped
