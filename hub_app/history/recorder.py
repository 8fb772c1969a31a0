"""Recorder of the history: the thread between the inbox, the committer and the acknowledger.

A reading is acknowledged to its node after the commit that stored it, never before.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from bus.config.history_table import HistoryConfig
from bus.config.limits_table import LimitsConfig
from hub_app.alarms.records import Record
from hub_app.history.acknowledge import Acknowledger, Publish
from hub_app.history.batch import BatchBuilder
from hub_app.history.commit.committer import Committer
from hub_app.history.events import HUB, Event
from hub_app.history.inbox import Inbox, Payload
from hub_app.history.removal import HistoryJob
from hub_app.process.supervisor import Supervisor
from hub_app.quota.live import QuotaUse
from hub_app.quota.refusals import Refusals

logger = logging.getLogger(__name__)

_JOIN_S = 5.0
# Messages are taken that late at most, however rare commits are: the time of an event is when its
# message is taken.
_LONGEST_WAIT_S = 0.5


class HistoryStatistics(msgspec.Struct, frozen=True):
    """Counters since the hub's start, and the present fault, empty where there is none."""

    stored: int
    repeated: int
    refused: int
    overrun: int
    commits: int
    fault: str


class Recorder:
    """Records what arrives in `inbox` in the file at `path`, from `start` to `stop`.

    `node` is the hub's own node id.
    """

    def __init__(  # noqa: PLR0913 - all that a recorder works with
        self,
        node: str,
        path: Path,
        settings: HistoryConfig,
        *,
        inbox: Inbox,
        publish: Publish,
        now_ms: Callable[[], int],
        limits: LimitsConfig | None = None,
        refusals: Refusals | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        limits, refusals = limits or LimitsConfig(), refusals or Refusals()
        self._supervisor = supervisor or Supervisor()
        self.path = path
        self._node = node
        self._commit_s = settings.commit_s
        self._now_ms = now_ms
        self._inbox = inbox
        self._builder = BatchBuilder(limits, refusals)
        self._committer = Committer(path, settings, now_ms, limits, refusals)
        self.old_readings = self._committer.old_readings
        self._acknowledger = Acknowledger(publish)
        self._stopping = threading.Event()
        self._round_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    @property
    def statistics(self) -> HistoryStatistics:
        committer = self._committer
        return HistoryStatistics(
            stored=committer.stored,
            repeated=committer.repeated,
            refused=committer.refused,
            overrun=self._inbox.overrun,
            commits=committer.commits,
            fault=committer.fault.reason,
        )

    def put_many(self, payloads: Sequence[Payload]) -> None:
        """Take messages to store; never waits. Any thread may call."""
        self._inbox.put_many(payloads)

    def quota_uses(self) -> Iterator[QuotaUse]:
        """Return the use of the nodes' quotas of the history. Any thread may call."""
        return self._committer.quota_uses()

    def start(self) -> None:
        """Open the file and begin. Raises MisconfiguredError where another program has it open."""
        self._committer.open()
        self._builder.add_event(Event(self._node, self._now_ms(), HUB, "", "started"))
        self._thread.start()

    def request(self, job: HistoryJob) -> None:
        """Let the history's thread make a change after its next commit. Any thread may call."""
        self._committer.jobs.put(job)

    def record_alarm(self, record: Record) -> None:
        """Store an alarm with the next commit. Any thread may call."""
        self._committer.alarms.put(record)

    def is_alive(self, patience_s: float) -> bool:
        """Whether the thread runs and began a round of its loop within `patience_s`."""
        return self._thread.is_alive() and time.monotonic() - self._round_s < patience_s

    def stop(self) -> None:
        """Commit and acknowledge what has arrived, then close."""
        self._stopping.set()
        self._inbox.wake()
        self._thread.join(_JOIN_S)

    # The methods below run on the recorder's own thread.

    def _run(self) -> None:
        self._supervisor.run_here("history", self._record, self._stopping.wait)
        self._committer.close()

    def _record(self) -> None:
        commit_at_s = time.monotonic() + self._commit_s
        while not self._stopping.is_set():
            self._round_s = time.monotonic()
            self._receive(min(_LONGEST_WAIT_S, commit_at_s - time.monotonic()))
            if self._builder.is_full or time.monotonic() >= commit_at_s:
                self._commit()
                commit_at_s = time.monotonic() + self._commit_s
                self._committer.housekeep()
        while payloads := self._inbox.take(0.0):
            self._builder.add(payloads, self._now_ms())
        self._builder.add_event(Event(self._node, self._now_ms(), HUB, "", "stopped"))
        self._commit(is_last=True)

    def _receive(self, timeout_s: float) -> None:
        self._builder.add(self._inbox.take(timeout_s), self._now_ms())

    def _commit(self, *, is_last: bool = False) -> None:
        batch = self._builder.take(self._now_ms(), is_last=is_last)
        answers = self._committer.commit(batch)
        try:
            self._acknowledger.acknowledge(answers)
        except Exception:
            # The nodes send again what was not acknowledged; this thread has to go on.
            logger.exception("the history failed to acknowledge readings")
