"""Restarts of a plugin that failed: when, and how many there were. Pure: it takes the time."""

from bus.client.backoff import Backoff

# A plugin that keeps failing is started again after 1, 2, 4 ... 300 s.
_FIRST_S = 1.0
_LONGEST_S = 300.0
# A plugin that ran this long was healthy: its next failure counts as the first.
_HEALTHY_S = 300.0


class RestartPolicy:
    """Back-off between the starts of one plugin."""

    def __init__(self) -> None:
        self.restarts = 0
        self._backoff = Backoff(_FIRST_S, _LONGEST_S, steady_s=_HEALTHY_S)
        self._running_since_s: float | None = None
        self._retry_at_s = 0.0

    def started(self) -> None:
        """Note the start of another component: it has not run yet."""
        self._running_since_s = None

    def running(self, now_s: float) -> None:
        """Note that the plugin runs at present."""
        if self._running_since_s is None:
            self._running_since_s = now_s

    def failed(self, now_s: float) -> float:
        """Count a failure; return the seconds until the next start."""
        since_s = now_s if self._running_since_s is None else self._running_since_s
        self._running_since_s = None
        self.restarts += 1
        wait_s = self._backoff.next_s(now_s - since_s)
        self._retry_at_s = now_s + wait_s
        return wait_s

    def is_due(self, now_s: float) -> bool:
        return now_s >= self._retry_at_s

    def retry_now(self) -> None:
        """Forget the failures, as a person asked for a start."""
        self._backoff.reset()
        self._retry_at_s = 0.0
