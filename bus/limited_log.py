"""Log lines, bounded for each cause: what a client does a thousand times is told a few times."""

import logging
from collections.abc import Callable

_MINUTE_S = 60.0
# Causes are words of ours, so this is never reached by what a client sends.
_MOST_CAUSES = 256


class LimitedLog:
    """Writes the first `lines` of a cause each minute, then one line with the count of the rest."""

    def __init__(self, logger: logging.Logger, lines: int, clock: Callable[[], float]) -> None:
        """`clock`: seconds of a monotonic clock."""
        self._logger = logger
        self._lines = lines
        self._clock = clock
        self._minutes: dict[str, tuple[float, int]] = {}

    def warning(self, cause: str, text: str, *args: object) -> None:
        if self._may_write(cause):
            self._logger.warning(text, *args)

    def fault(self, cause: str, text: str, *args: object) -> None:
        """Write an error with the traceback of the exception that is being handled."""
        if self._may_write(cause):
            self._logger.log(logging.ERROR, text, *args, exc_info=True)

    def _may_write(self, cause: str) -> bool:
        now_s = self._clock()
        since_s, count = self._minutes.get(cause, (now_s, 0))
        if now_s - since_s >= _MINUTE_S:
            self._tell_rest(cause, count)
            since_s, count = now_s, 0
        if len(self._minutes) < _MOST_CAUSES or cause in self._minutes:
            self._minutes[cause] = since_s, count + 1
        return count < self._lines

    def sweep(self) -> None:
        """Tell of the minutes that are over; call it every now and then."""
        now_s = self._clock()
        for cause, (since_s, count) in list(self._minutes.items()):
            if now_s - since_s >= _MINUTE_S:
                self._tell_rest(cause, count)
                del self._minutes[cause]

    def _tell_rest(self, cause: str, count: int) -> None:
        if count > self._lines:
            self._logger.warning("%s: %d more in a minute", cause, count - self._lines)
