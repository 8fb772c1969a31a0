"""Commits of batches to the history file, and recovery from a full disk or a damaged file.

Used by the history's thread alone. While the file cannot be used, batches are dropped: their
readings are not acknowledged, so the nodes send them again.
"""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bus.config.history_table import HistoryConfig
from bus.errors import BadDataError, MisconfiguredError
from bus.fault import Fault
from bus.files.database import DamagedError, set_aside
from bus.limited_log import LimitedLog
from hub_app.history.acknowledge import StoredReading
from hub_app.history.batch import Batch
from hub_app.history.decode import ReadingKey, RefusedReading, key_of
from hub_app.history.events import MAX_DETAIL_CHARS, REFUSED, Event
from hub_app.history.housekeeping import Housekeeping
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer

logger = logging.getLogger(__name__)

_REOPEN_S = 2.0
_MAX_EVENTS = 1000


class HistoryFile:
    """An open history file with its writer and its housekeeping."""

    def __init__(self, path: Path, settings: HistoryConfig) -> None:
        self.db = open_history(path)
        try:
            self.writer = Writer(self.db)
            self.housekeeping = Housekeeping(self.db, settings)
        except BaseException:
            self.db.close()
            raise

    def close(self) -> None:
        self.db.close()


class Committer:
    """Stores one batch per commit in the file at `path`, and counts what it did."""

    def __init__(self, path: Path, settings: HistoryConfig, now_ms: Callable[[], int]) -> None:
        self.stored = 0
        self.repeated = 0
        self.refused = 0
        self.commits = 0
        self.fault = Fault("history", logger=logger, level=logging.ERROR)
        self._path = path
        self._settings = settings
        self._now_ms = now_ms
        # None from a fault until the file can be opened again.
        self._file: HistoryFile | None = None
        self._reopen_at_s = 0.0
        self._events: list[Event] = []
        self._newest_ms = 0
        self._log = LimitedLog(logger)

    def open(self) -> None:
        """Open the file. Raises MisconfiguredError where another program has it open."""
        try:
            self._file = HistoryFile(self._path, self._settings)
        except DamagedError as e:
            set_aside(self._path, str(e))
            raise MisconfiguredError(f"{self._path}: cannot be created again") from e
        except sqlite3.Error as e:
            self._on_fault(e)

    def commit(self, batch: Batch) -> list[StoredReading]:
        """Store a batch; return what to acknowledge, which is nothing after a fault."""
        self._events = [*self._events, *batch.events][-_MAX_EVENTS:]
        self._note_refused(batch.refused)
        if self._file is None:
            self._reopen()
        with self._faults_handled():
            if self._file is not None:
                return self._store(self._file.writer, batch)
        return []

    def housekeep(self) -> None:
        self._log.sweep()
        with self._faults_handled():
            if self._file is not None:
                self._file.housekeeping.run(self._now_ms(), self._newest_ms)

    def close(self) -> None:
        """Close the file. Twice is fine."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _store(self, writer: Writer, batch: Batch) -> list[StoredReading]:
        accepted, refused = _check(writer, batch.arrivals)
        self._note_refused(refused)
        refused = [*batch.refused, *refused]
        if not (accepted or refused or self._events):
            return []
        events, self._events = self._events, []
        added = writer.store(accepted, events, self._now_ms())
        self.commits += 1
        self.stored += added
        self.repeated += len(accepted) - added
        if accepted:
            self._newest_ms = max(arrival.reading.timestamp_ms for arrival in accepted)
        self.fault.worked()
        return [*map(_stored, accepted), *_acknowledgeable(refused)]

    def _note_refused(self, refused: Sequence[RefusedReading]) -> None:
        for reading in refused:
            self.refused += 1
            self._log.warning(
                "refused readings",
                "refused a reading, %d so far: %s",
                *(self.refused, reading.reason),
            )
            if len(self._events) < _MAX_EVENTS:
                detail = reading.reason[:MAX_DETAIL_CHARS]
                self._events.append(Event(reading.node, self._now_ms(), REFUSED, "", detail))

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
        except Exception:
            logger.exception("the history failed")
            self._close_until_later()

    def _on_fault(self, error: sqlite3.Error) -> None:
        self._close_until_later()
        self.fault.failed(f"{self._path}: {error}; readings wait at their nodes")

    def _close_until_later(self) -> None:
        self.close()
        self._reopen_at_s = time.monotonic() + _REOPEN_S


def _check(
    writer: Writer, arrivals: Sequence[Arrival]
) -> tuple[list[Arrival], list[RefusedReading]]:
    accepted: list[Arrival] = []
    refused: list[RefusedReading] = []
    for arrival in arrivals:
        reading = arrival.reading
        try:
            writer.check(reading)
        except BadDataError as e:
            refused.append(RefusedReading(reading.node, key_of(reading), str(e)))
        else:
            accepted.append(arrival)
    return accepted, refused


def _stored(arrival: Arrival) -> StoredReading:
    reading = arrival.reading
    # The writer's check has refused every reading without a key.
    return StoredReading(reading.node, ReadingKey(reading.stream, reading.seq))


def _acknowledgeable(refused: Sequence[RefusedReading]) -> Iterator[StoredReading]:
    """Yield the refused readings that can be named; their nodes would send them for ever."""
    for reading in refused:
        if reading.key is not None:
            yield StoredReading(reading.node, reading.key)
