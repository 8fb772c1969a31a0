"""Rate-limited logging: a bounded number of lines a minute for each key."""

import logging
import threading
import time
from collections.abc import Callable

_MINUTE_S = 60.0
# A peer may choose the key, a topic for example: above this number all new keys share one.
_MAX_KEYS = 256
_OTHER_KEYS = "other"


class LimitedLog:
    """Logs the first `lines` of a key each minute, then one line with the number of the others.

    Any thread may call.
    """

    def __init__(
        self,
        logger: logging.Logger,
        lines: int = 1,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._lines = lines
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        # Start of the minute, and the number of lines in it so far.
        self._minutes: dict[str, tuple[float, int]] = {}

    def info(self, key: str, text: str, *args: object) -> None:
        if self._admits(key):
            self._logger.info(text, *args)

    def warning(self, key: str, text: str, *args: object) -> None:
        if self._admits(key):
            self._logger.warning(text, *args)

    def exception(self, key: str, text: str, *args: object) -> None:
        """Log an error with the traceback of the exception that is being handled."""
        if self._admits(key):
            self._logger.log(logging.ERROR, text, *args, exc_info=True)

    def sweep(self, now_s: float | None = None) -> None:
        """Log how many lines were dropped in the minutes that are over. Call it regularly."""
        now_s = self._monotonic_s() if now_s is None else now_s
        with self._lock:
            over = [key for key in self._minutes if self._is_over(key, now_s)]
            dropped = {key: self._close_minute(key) for key in over}
        # Logged without the lock: a log handler may publish, and publishing may take other locks.
        for key, count in dropped.items():
            self._log_dropped(key, count)

    def _admits(self, key: str) -> bool:
        """Count a line; return whether it may be logged."""
        if len(self._minutes) >= _MAX_KEYS:
            self.sweep()
        now_s = self._monotonic_s()
        with self._lock:
            if key not in self._minutes and len(self._minutes) >= _MAX_KEYS:
                key = _OTHER_KEYS
            dropped = self._close_minute(key) if self._is_over(key, now_s) else 0
            since_s, count = self._minutes.get(key, (now_s, 0))
            self._minutes[key] = since_s, count + 1
        self._log_dropped(key, dropped)
        return count < self._lines

    def _is_over(self, key: str, now_s: float) -> bool:
        since_s, _ = self._minutes.get(key, (now_s, 0))
        return now_s - since_s >= _MINUTE_S

    def _close_minute(self, key: str) -> int:
        """Forget a minute; return how many of its lines were dropped."""
        _, count = self._minutes.pop(key)
        return max(0, count - self._lines)

    def _log_dropped(self, key: str, count: int) -> None:
        if count:
            self._logger.warning(
                "%s: %d more lines were dropped in one minute; the limit is %d",
                *(key, count, self._lines),
            )
