"""Exponential back-off: waits between attempts that grow with each failure in a row. Pure."""

import math
from collections.abc import Callable

FIRST_S = 1.0
LAST_S = 30.0
# A connection that lasted this long was a success; a shorter one counts as another failure.
_STEADY_S = 30.0

# Returns a random number between its two arguments.
Draw = Callable[[float, float], float]


class Backoff:
    """Waits of `first_s`, twice that, and so on, up to `longest_s`.

    An attempt that lasted at least `steady_s` was a success, and the waits begin anew. With `draw`
    a wait is a random time up to its bound ("full jitter"), so that a thousand clients do not
    return at the same moment.
    """

    def __init__(
        self,
        first_s: float,
        longest_s: float,
        *,
        steady_s: float = math.inf,
        draw: Draw | None = None,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._steady_s = steady_s
        self._draw = draw
        self._bound_s = first_s

    def next_s(self, lasted_s: float = 0.0) -> float:
        """Count a failure; return the wait after it. `lasted_s`: how long the attempt held."""
        if lasted_s >= self._steady_s:
            self.reset()
        bound_s = self._bound_s
        self._bound_s = min(2.0 * bound_s, self._longest_s)
        return bound_s if self._draw is None else self._draw(0.0, bound_s)

    def reset(self) -> None:
        """Begin again with `first_s`, as after a success."""
        self._bound_s = self._first_s


def reconnect_backoff(draw: Draw) -> Backoff:
    """Return the back-off of an MQTT client: full jitter, from 1 s to 30 s."""
    return Backoff(FIRST_S, LAST_S, steady_s=_STEADY_S, draw=draw)
