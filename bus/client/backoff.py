"""How long to wait before the next attempt to connect. Pure: chance is handed in."""

from collections.abc import Callable

FIRST_S = 1.0
LAST_S = 30.0
# A connection that held this long was one; any shorter counts as another failure.
_STEADY_S = 30.0


class Backoff:
    """Full jitter: anything up to a bound that doubles with each failure, from 1 s to 30 s.

    So a thousand nodes whose hub comes back don't all knock at once. `draw(a, b)` returns a random
    number between the two.
    """

    def __init__(self, draw: Callable[[float, float], float]) -> None:
        self._draw = draw
        self._failures = 0

    def next_s(self, lasted_s: float = 0.0) -> float:
        """Return what to wait after a connection that lasted so long, 0 where there was none."""
        if lasted_s >= _STEADY_S:
            self._failures = 0
        bound_s = min(FIRST_S * 2.0 ** min(self._failures, 10), LAST_S)
        self._failures += 1
        return self._draw(0.0, bound_s)
