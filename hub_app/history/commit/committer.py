"""Commits of batches to the history file, and recovery from a full disk or a damaged file.

Used by the history's thread alone. While the file cannot be used, batches are dropped: their
readings are not acknowledged, so the nodes send them again.
"""

import contextlib
import logging
import queue
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bus.config.history_table import HistoryConfig
from bus.config.limits_table import LimitsConfig
from bus.errors import MisconfiguredError
from bus.fault import Fault
from bus.files.database import DamagedError, set_aside
from bus.limited_log import LimitedLog
from hub_app.alarms.records import Record
from hub_app.history.acknowledge import Answers, answers_of
from hub_app.history.batch import Batch
from hub_app.history.commit.isolation import Failed, store_apart
from hub_app.history.commit.pending import Pending
from hub_app.history.decode import ReadingKey, RefusedReading
from hub_app.history.events import MAX_DETAIL_CHARS, REFUSED, Event
from hub_app.history.removal import HistoryJob
from hub_app.history.retention.housekeeping import Housekeeping
from hub_app.history.retention.old_readings import OldReadings
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Outcome, Writer
from hub_app.quota.live import QuotaUse
from hub_app.quota.rate import RateQuota
from hub_app.quota.refusals import Reason, Refusals

logger = logging.getLogger(__name__)

_REOPEN_S = 2.0
_REFUSED_EVENTS_PER_MINUTE = 1
# Between two searches for names that nothing refers to.
_FORGET_S = 3600.0


class HistoryFile:
    """An open history file with its writer and its housekeeping."""

    def __init__(self, path: Path, settings: HistoryConfig, limits: LimitsConfig) -> None:
        self._limits = limits
        self.db = open_history(path)
        try:
            self.renew()
            self.housekeeping = Housekeeping(self.db, settings)
        except BaseException:
            self.db.close()
            raise

    def renew(self) -> None:
        """Make a new writer, in place of one that failed."""
        self.writer = Writer(self.db, self._limits)

    def close(self) -> None:
        self.db.close()


class Committer:
    """Stores one batch per commit in the file at `path`, and counts what it did."""

    def __init__(
        self,
        path: Path,
        settings: HistoryConfig,
        now_ms: Callable[[], int],
        limits: LimitsConfig,
        refusals: Refusals,
    ) -> None:
        self._limits = limits
        self._refusals = refusals
        self._refused_events = RateQuota(_REFUSED_EVENTS_PER_MINUTE)
        self._forget_at_s = time.monotonic() + _FORGET_S
        self.stored = 0
        self.repeated = 0
        self.refused = 0
        self.commits = 0
        self.old_readings = OldReadings(settings)
        self.fault = Fault("history", logger=logger, level=logging.ERROR)
        self._path = path
        self._settings = settings
        self._now_ms = now_ms
        # None from a fault until the file can be opened again.
        self._file: HistoryFile | None = None
        self._reopen_at_s = 0.0
        self._pending = Pending(limits.nodes)
        self._log = LimitedLog(logger)
        self._newest_ms = 0
        self.jobs: queue.SimpleQueue[HistoryJob] = queue.SimpleQueue()
        self.alarms: queue.SimpleQueue[Record] = queue.SimpleQueue()

    def open(self) -> None:
        """Open the file. Raises MisconfiguredError where another program has it open."""
        try:
            self._file = HistoryFile(self._path, self._settings, self._limits)
        except DamagedError as e:
            set_aside(self._path, str(e))
            raise MisconfiguredError(f"{self._path}: cannot be created again") from e
        except sqlite3.Error as e:
            self._on_fault(e)

    def quota_uses(self) -> Iterator[QuotaUse]:
        """Return the use of the nodes' quotas, none without a file. Any thread may call."""
        file = self._file
        return file.writer.quota_uses() if file is not None else iter(())

    def commit(self, batch: Batch) -> Answers:
        """Store a batch; return what to answer to the nodes, which is nothing after a fault."""
        self._pending.add(batch.events, heartbeats=batch.heartbeats)
        while not self.alarms.empty():
            self._pending.add(alarms=[self.alarms.get()])
        for reading in batch.refused:
            self._note_refused(reading.node, Reason.MALFORMED, reading.reason)
        if self._file is None:
            self._reopen()
        with self._faults_handled():
            if self._file is not None:
                return self._store(self._file, batch)
        return {}

    def housekeep(self) -> None:
        with self._faults_handled():
            if self._file is None:
                return
            self._do_jobs(self._file)
            self._file.housekeeping.run(self._now_ms(), self._newest_ms)
            if time.monotonic() >= self._forget_at_s:
                self._forget_at_s = time.monotonic() + _FORGET_S
                self._file.writer.forget_unused()

    def _do_jobs(self, file: HistoryFile) -> None:
        while not self.jobs.empty():
            job = self.jobs.get()
            job.is_failed = True
            job.change(file.db)
            file.writer.forget_unused()
            job.is_failed = False
            job.is_done.set()

    def close(self) -> None:
        """Close the file. Twice is fine."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _store(self, file: HistoryFile, batch: Batch) -> Answers:
        self._store_suspects(file)
        # A repair of timestamps goes on while nothing comes.
        if not (batch.arrivals or batch.refused or self._pending or file.writer.is_repair_due):
            return {}
        outcome, failed = self._store_arrivals(file, batch.arrivals)
        self.commits += 1
        self.stored += outcome.added
        self.repeated += len(outcome.kept) - outcome.added
        if outcome.kept:
            self._newest_ms = max(reading.timestamp_ms for reading in outcome.kept)
            self.old_readings.note(outcome.kept, self._now_ms())
        for reading, reason in outcome.refused:
            # Without an answer, so that it waits at its node until there is room.
            self._note_refused(reading.node, reason, f"the reading of {reading.sensor_id}")
        self.fault.worked()
        # The malformed ones, too: their nodes would send them for ever.
        return answers_of(outcome.kept, [*batch.refused, *self._refused(failed)])

    def _store_suspects(self, file: HistoryFile) -> None:
        while self._pending.is_suspect:
            self._store_part(file, [])

    def _store_arrivals(
        self, file: HistoryFile, arrivals: Sequence[Arrival]
    ) -> tuple[Outcome, Failed]:
        """Store a batch; where the writer fails at it, each reading at which it does not."""
        try:
            return self._store_part(file, arrivals), []
        except Exception as e:
            if not arrivals or _is_of_file(e):
                raise
            logger.exception("the history failed at one of %d readings", len(arrivals))
        file.renew()
        self._store_suspects(file)

        def store(part: Sequence[Arrival]) -> Outcome:
            try:
                return self._store_part(file, part)
            except Exception as e:
                if not _is_of_file(e):
                    file.renew()
                raise

        return store_apart(arrivals, store, _is_of_file)

    def _refused(self, failed: Failed) -> Iterator[RefusedReading]:
        """Refuse readings at which the writer fails: it would do so whenever they come again."""
        for reading, cause in failed:
            node, sensor = reading.node, reading.sensor_id
            reason = f"the history fails at the reading of {sensor}: {cause}"
            self._log.warning(f"{node} {sensor}", "%s: %s", node, reason)
            self._note_refused(node, Reason.MALFORMED, reason)
            yield RefusedReading(node, ReadingKey(reading.stream, reading.seq), reason)

    def _store_part(self, file: HistoryFile, arrivals: Sequence[Arrival]) -> Outcome:
        part = self._pending.part()
        try:
            outcome = file.writer.store(
                arrivals, part.events, self._now_ms(), part.alarms, part.heartbeats
            )
        except Exception as e:
            if not _is_of_file(e):
                self._pending.on_failed(part)
            raise
        self._pending.on_stored(part)
        return outcome

    def _note_refused(self, node: str, reason: Reason, detail: str) -> None:
        self.refused += 1
        self._refusals.count(node, reason, detail)
        now_ms = self._now_ms()
        if self._refused_events.admits(node, now_ms):
            text = f"{reason}: {detail}"[:MAX_DETAIL_CHARS]
            self._pending.add([Event(node, now_ms, REFUSED, "", text)])

    def _reopen(self) -> None:
        if time.monotonic() < self._reopen_at_s:
            return
        try:
            self.open()
        except MisconfiguredError as e:
            self._close_until_later()
            self.fault.failed(str(e))

    @contextlib.contextmanager
    def _faults_handled(self) -> Iterator[None]:
        """Close the file after a fault, so that it is opened again; no fault ends the thread."""
        try:
            yield
        except DamagedError as e:
            self.close()
            set_aside(self._path, str(e))
            self._reopen_at_s = 0.0
        except sqlite3.Error as e:
            self._on_fault(e)
        except Exception as e:
            logger.exception("the history failed")
            self._close_until_later()
            self.fault.failed(f"{self._path}: {e!r}; readings wait at their nodes")

    def _on_fault(self, error: sqlite3.Error) -> None:
        self._close_until_later()
        self.fault.failed(f"{self._path}: {error}; readings wait at their nodes")

    def _close_until_later(self) -> None:
        self.close()
        self._reopen_at_s = time.monotonic() + _REOPEN_S


def _is_of_file(error: Exception) -> bool:
    """Whether a failed commit is the fault of the file or the machine, not of what is in it."""
    is_of_values = isinstance(error, sqlite3.IntegrityError | sqlite3.DataError)
    return isinstance(error, DamagedError | sqlite3.Error | MemoryError) and not is_of_values
