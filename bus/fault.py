"""Log of a fault: one line when it begins and one line, with its duration, when it ends."""

import logging
import threading
import time
from collections.abc import Callable

_LOGGER = logging.getLogger(__name__)


class Fault:
    """State of one thing that can fail: a device, a file, a connection. Any thread may call.

    `level` is the level of the line that tells of the beginning; the end is a warning.
    """

    def __init__(
        self,
        subject: str,
        monotonic_s: Callable[[], float] = time.monotonic,
        *,
        logger: logging.Logger = _LOGGER,
        level: int = logging.WARNING,
    ) -> None:
        self._subject = subject
        self._monotonic_s = monotonic_s
        self._logger = logger
        self._level = level
        self._lock = threading.Lock()
        self._since_s: float | None = None
        self._reason = ""

    @property
    def reason(self) -> str:
        """The latest reason; empty while there is no fault."""
        return self._reason

    @property
    def is_active(self) -> bool:
        return self._since_s is not None

    def failed(self, reason: str, *, traceback: bool = False) -> bool:
        """Note a failure; log it and return True if the fault begins with it."""
        with self._lock:
            begins = self._since_s is None
            if begins:
                self._since_s = self._monotonic_s()
            self._reason = reason
        # Logged without the lock: a log handler may publish, and publishing may take other locks.
        if begins:
            self._logger.log(
                self._level, "%s: fault: %s", self._subject, reason, exc_info=traceback
            )
        return begins

    def worked(self) -> bool:
        """Note a success; log the fault's duration and return True if a fault ends with it."""
        with self._lock:
            since_s, self._since_s = self._since_s, None
            self._reason = ""
        if since_s is None:
            return False
        lasted_s = self._monotonic_s() - since_s
        self._logger.warning("%s: works again after %.1f s", self._subject, lasted_s)
        return True
