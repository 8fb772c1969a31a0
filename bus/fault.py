"""A fault as one pair of log lines: one when it begins, one when it ends, none in between."""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Fault:
    """Whether `subject` works at present. One thread reports; any thread may read `reason`."""

    def __init__(self, subject: str, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.reason = ""
        self._subject = subject
        self._monotonic_s = monotonic_s
        self._since_s: float | None = None

    def failed(self, reason: str, *, traceback: bool = False) -> None:
        """Note that it does not work; `reason` is logged if it did until now."""
        if self._since_s is None:
            self._since_s = self._monotonic_s()
            logger.warning("%s: fault: %s", self._subject, reason, exc_info=traceback)
        self.reason = reason

    def worked(self) -> None:
        """Note that it works; logged with the fault's duration if it did not until now."""
        if self._since_s is None:
            return
        lasted_s = self._monotonic_s() - self._since_s
        self._since_s = None
        self.reason = ""
        logger.warning("%s: works again after %.1f s", self._subject, lasted_s)
