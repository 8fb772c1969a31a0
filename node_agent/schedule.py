"""Fixed-rate schedule. Pure: it takes the time and returns a time."""

import math


def next_due(now_s: float, start_s: float, interval_s: float) -> float:
    """Return the next time of a fixed rate that began at `start_s`; missed times are skipped."""
    beats = math.floor((now_s - start_s) / interval_s) + 1
    return start_s + beats * interval_s
