"""Candidate of a plugin: another version on trial, beside the one that runs."""

import logging
from collections.abc import Callable
from pathlib import Path

from node_agent.delivery.plugin_delivery import PluginDelivery
from node_agent.plugins.supervisor.file_watch import FileWatch
from node_agent.plugins.thread import PluginThread

logger = logging.getLogger(__name__)

# A sensor may need some polls to warm up, and a read that collides with the running version's
# may fail.
TRIAL_POLLS = 5


class Candidate:
    """The thread on trial, of a changed file or of the hub's order. One thread at a time."""

    def __init__(
        self,
        name: str,
        file: FileWatch,
        delivery: PluginDelivery,
        start: Callable[[Path], PluginThread],
    ) -> None:
        """`start` starts a thread that is not published."""
        self._name = name
        self._file = file
        self._delivery = delivery
        self._start = start
        self._thread: PluginThread | None = None
        # Whether the candidate is of the hub's order.
        self._is_offer = False
        # What ran when the trial began, and its full polls until then.
        self._beside: tuple[PluginThread | None, int] = (None, 0)

    @property
    def thread(self) -> PluginThread | None:
        """The thread on trial, None where there is none."""
        return self._thread

    def try_changed_file(self) -> None:
        """Load a changed file."""
        if self._thread is None and self._file.has_new_version():
            reason = "reload by command" if self._file.is_forgotten else "the file changed"
            self._file.mark_loaded()
            path = self._file.path
            logger.info("plugin %s: %s; loading %s on trial", self._name, reason, path.name)
            self._thread = self._start(path)

    def try_offer(self, running: PluginThread | None) -> None:
        """Load a version that the hub delivered, beside the one that runs."""
        path = self._delivery.offered()
        if path is None or self._thread is not None:
            return
        logger.info("plugin %s: loading %s on trial", self._name, path.name)
        self._thread = self._start(path)
        self._is_offer = True
        self._beside = running, running.full_polls if running is not None else 0

    def judge(self, running: PluginThread | None) -> tuple[bool, str]:
        """Return whether the candidate may take over now, or else why it never may, or nothing.

        A file takes over after any poll. An order's version does after a poll with a reading; one
        that has nothing new to tell in all of them, where the running one has neither.
        """
        thread = self._thread
        if thread is None or not thread.has_polled.is_set():
            return False, ""
        if not self._is_offer or thread.full_polls > 0:
            return True, ""
        if thread.good_polls + thread.bad_polls < TRIAL_POLLS:
            return False, ""
        other = self._full_polls_beside(running)
        if thread.empty_polls and not other:
            return True, ""
        others = "and no other version runs"
        if running is not None:
            others = "while the running version's were" if other else "nor the running version's"
        reason = thread.fault or "returned no reading"
        return False, f"none of its {TRIAL_POLLS} polls was good, {others}: {reason}"

    def _full_polls_beside(self, running: PluginThread | None) -> int:
        """Return how many polls of the running version had readings during the trial."""
        if running is None:
            return 0
        thread, before = self._beside
        return running.full_polls - (before if running is thread else 0)

    def drop_outdated(self) -> None:
        """Stop the trial of an order after which a newer one has come."""
        if self._thread is None or not self._is_offer:
            return
        if self._thread.path != self._delivery.offered():
            self._thread.stop()
            self.forget()

    def forget(self) -> None:
        """Have no candidate any more, and tell the delivery nothing."""
        self._thread, self._is_offer = None, False

    def end_trial(self, error: str = "") -> None:
        """Have no candidate any more; tell the delivery what became of its version."""
        is_offer = self._is_offer
        self.forget()
        if is_offer:
            self._delivery.tried(error)
            if not error:
                self._file.mark_loaded()
