"""When things are due. Pure: it takes the time and returns a time."""

import math

# A plugin that keeps failing is tried again after 1, 2, 4 ... 300 s.
_BACKOFF_FIRST_S = 1.0
_BACKOFF_LONGEST_S = 300.0


def next_due(now_s: float, start_s: float, interval_s: float) -> float:
    """Return the next beat of a fixed rate that began at `start_s`; missed beats are skipped."""
    beats = math.floor((now_s - start_s) / interval_s) + 1
    return start_s + beats * interval_s


def backoff_s(failures: int) -> float:
    """Return how long to wait after so many failures in a row."""
    return min(_BACKOFF_LONGEST_S, _BACKOFF_FIRST_S * 2.0 ** min(max(0, failures - 1), 30))
