"""Recovery of a plugin from failures: its last error, and when it may start again."""

import logging

from bus.client.node_log import plugin_logger
from node_agent.plugins.supervisor.hung_threads import HungThreads
from node_agent.plugins.supervisor.published_state import PublishedState, shortened
from node_agent.plugins.supervisor.restart_policy import RestartPolicy

logger = logging.getLogger(__name__)

MAX_ERROR_CHARS = 2000
_RELOAD_FAILED = "reload failed"


class Recovery:
    """Failures of one plugin, its back-off and its hung threads. One thread at a time."""

    def __init__(self, name: str, published: PublishedState) -> None:
        self._name = name
        self._published = published
        self.restarts = RestartPolicy()
        self.hung = HungThreads()
        self.error = ""
        # Whether a person has asked for the next start.
        self._is_commanded = False

    def command_start(self) -> None:
        """Let the plugin start now, as a person asked for."""
        self._is_commanded = True
        self.restarts.retry_now()

    def start_former(self) -> None:
        """Start the version that ran before, in this cycle: the one on probation has failed."""
        logger.error("plugin %s: the version before runs again", self._name)
        self.restarts.retry_now()

    def is_start_due(self, now_s: float) -> bool:
        """Return whether the back-off is over and memory allows another instance."""
        is_held_back = self.hung.is_full and not self._is_commanded
        return self.restarts.is_due(now_s) and not is_held_back

    def failed(self, now_s: float, error: str, traceback: str) -> None:
        """Note that the running instance has failed."""
        self._is_commanded = False
        wait_s = self.restarts.failed(now_s)
        if self.hung.is_full:
            error = f"{error}: it is not started again before one ends or its file changes"
        self.error = error[:MAX_ERROR_CHARS]
        self._published.note_failure(traceback or error)
        logger.error("plugin %s failed: %s; next try in %.0f s", self._name, error, wait_s)
        if traceback:
            plugin_logger(self._name).error("%s", traceback)

    def reload_failed(self, error: str, traceback: str) -> None:
        """Note that a candidate has failed beside the running instance."""
        self.error = f"{_RELOAD_FAILED}: {error}"[:MAX_ERROR_CHARS]
        self._published.note_failure(traceback or self.error)
        logger.error("plugin %s: %s; the old one runs on", self._name, self.error)

    def polled(self) -> None:
        """Forget a failure of the running version, but not that of a candidate."""
        if not self.error.startswith(_RELOAD_FAILED):
            self.error = ""

    def replaced(self, *, is_new: bool) -> None:
        """Note that a candidate has taken over; failures of another version are none of its."""
        self.restarts.started()
        self.error = ""
        if is_new:
            self._published.note_failure("")


def reason_of(traceback: str, error: str) -> str:
    """Return a traceback, where there is one, with the error that it led to."""
    return shortened(traceback, MAX_ERROR_CHARS) if traceback else error
