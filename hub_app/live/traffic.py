"""Rates of the broker's messages over the last day, one point a minute. In memory; pure."""

from collections import deque

from broker.embedded.statistics import BrokerSnapshot

# Time in ms, messages in and out a second since the point before.
TrafficPoint = tuple[int, float, float]

EVERY_MS = 60_000
_MOST_POINTS = 1440


class Traffic:
    """Points of one broker, the newest last."""

    def __init__(self) -> None:
        self._points: deque[TrafficPoint] = deque(maxlen=_MOST_POINTS)
        # Time, messages in and out so far.
        self._last = (0, 0, 0)

    @property
    def points(self) -> list[TrafficPoint]:
        return list(self._points)

    def is_due(self, now_ms: int) -> bool:
        """Whether a minute has passed since the last figures, or the clock was set back."""
        return not 0 <= now_ms - self._last[0] < EVERY_MS

    def add(self, snapshot: BrokerSnapshot, now_ms: int) -> None:
        """Take the broker's figures of this moment."""
        before_ms, *before = self._last
        counts = (snapshot.publish.received, snapshot.publish.sent)
        self._last = (now_ms, *counts)
        passed_s = (now_ms - before_ms) / 1000
        # The first figures have none before them; those of a time set anew say nothing.
        if 0 < passed_s < 2 * EVERY_MS / 1000:
            received, sent = (
                round((count - former) / passed_s, 2)
                for count, former in zip(counts, before, strict=True)
            )
            self._points.append((now_ms, received, sent))
