"""Resolution of a chart: the interval that one of its points stands for. Pure."""

from bus.clock import DAY_MS
from bus.errors import BadDataError

_SECOND_MS = 1000
_MINUTE_MS = 60 * _SECOND_MS
_HOUR_MS = 60 * _MINUTE_MS

# From 5 minutes on, each is a multiple of a 5-minute mean.
STEPS_MS = (
    *(n * _SECOND_MS for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * _MINUTE_MS for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * _HOUR_MS for n in (1, 2, 3, 4, 6, 8, 12)),
    *(n * DAY_MS for n in (1, 2, 5, 10, 30, 100, 365, 3650, 36_500)),
)


class RangeTooLongError(BadDataError):
    """A range of time for whose points no interval is long enough."""


def step_for(span_ms: int, width: int) -> int:
    """Return the shortest interval of which at most `width` make up `span_ms`.

    Raises RangeTooLongError.
    """
    for step_ms in STEPS_MS:
        if span_ms <= step_ms * width:
            return step_ms
    raise RangeTooLongError(f"from: found {span_ms} ms before to, too long for {width} points")
