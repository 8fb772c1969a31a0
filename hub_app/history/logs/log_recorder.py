"""Recorder of log lines: a thread that commits them to the log file every few seconds.

While the file cannot be used, lines wait; beyond a bound the oldest are dropped and counted.
"""

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from bus.clock import DAY_MS, now_ms
from bus.config.history_table import HistoryConfig
from bus.contract.messages import Log
from bus.errors import HarvesterError
from bus.fault import Fault
from hub_app.history.logs.log_file import LogFile, LogLine
from hub_app.process.supervisor import Supervisor

logger = logging.getLogger(__name__)

MAX_QUEUED = 10_000
_COMMIT_S = 2.0
_EXPIRE_S = 60.0
_REOPEN_S = 5.0
_JOIN_S = 5.0
_FLUSH_S = 2.0
_BYTES_PER_MB = 1_000_000


class LogStatistics(msgspec.Struct, frozen=True):
    """Counters since the hub's start, and the present fault, empty where there is none."""

    stored: int
    dropped: int
    fault: str


class LogRecorder:
    """Records log lines in the file at `path`, from `start` to `stop`; None for no file."""

    def __init__(
        self,
        path: Path | None = None,
        settings: HistoryConfig | None = None,
        *,
        supervisor: Supervisor | None = None,
        now_ms: Callable[[], int] = now_ms,
        commit_s: float = _COMMIT_S,
    ) -> None:
        settings = settings or HistoryConfig()
        self.path = path
        self._longest_ms = round(settings.log_days * DAY_MS)
        self._most_bytes = settings.log_mb * _BYTES_PER_MB
        self._supervisor = supervisor or Supervisor()
        self._now_ms = now_ms
        self._commit_s = commit_s
        self._fault = Fault("log file", logger=logger, level=logging.ERROR)
        self._stored = self._dropped = 0
        self._lock = threading.Lock()
        self._queue: deque[LogLine] = deque()
        self._forgotten: set[str] = set()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        # Set after the next commit.
        self._flushed: list[threading.Event] = []
        self._file: LogFile | None = None
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)

    @property
    def statistics(self) -> LogStatistics:
        return LogStatistics(self._stored, self._dropped, self._fault.reason)

    @property
    def most_bytes(self) -> int:
        """The size from which the oldest lines are deleted."""
        return self._most_bytes

    def start(self) -> None:
        """Open the file and begin. Raises MisconfiguredError where it cannot be used."""
        if self.path is not None:
            self._open()
            self._thread.start()

    def put(self, node: str, log: Log, now_ms: int) -> None:
        """Queue a log line that has arrived; never waits."""
        if self.path is None:
            return
        line = LogLine(node, now_ms, log.timestamp_ms, log.level, log.source, log.message)
        with self._lock:
            if len(self._queue) >= MAX_QUEUED:
                self._queue.popleft()
                self._dropped += 1
            self._queue.append(line)

    def forget(self, node: str) -> None:
        """Delete the lines of a node soon; again is fine."""
        with self._lock:
            self._forgotten.add(node)

    def flush(self, timeout_s: float = _FLUSH_S) -> None:
        """Wait until what has arrived is in the file, but not for long. Any thread may call."""
        flushed = threading.Event()
        with self._lock:
            if not self._queue:
                return
            self._flushed.append(flushed)
        self._wake.set()
        flushed.wait(timeout_s)

    def stop(self) -> None:
        """Commit what has arrived, then close."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    # The methods below run on the recorder's own thread.

    def _run(self) -> None:
        self._supervisor.run_here("logs", self._record, self._stopping.wait)
        self._close()

    def _record(self) -> None:
        expire_at_s = 0.0
        while not self._stopping.is_set():
            self._wake.wait(self._commit_s if self._file else _REOPEN_S)
            self._wake.clear()
            self._step(self._commit)
            if time.monotonic() >= expire_at_s:
                expire_at_s = time.monotonic() + _EXPIRE_S
                self._step(lambda file: file.expire(self._now_ms()))
        self._step(self._commit)

    def _step(self, act: Callable[[LogFile], None]) -> None:
        """Work with the file; close it after a fault, so that it is opened again."""
        try:
            if self._file is None:
                self._open()
            if self._file is not None:
                act(self._file)
        except (sqlite3.Error, HarvesterError) as e:
            self._close()
            self._fault.failed(f"{self.path}: {e}; log lines wait in memory")
        except Exception:
            self._close()
            raise
        else:
            self._fault.worked()

    def _commit(self, file: LogFile) -> None:
        with self._lock:
            forgotten = self._forgotten.copy()
            flushed, self._flushed = self._flushed, []
            lines = list(self._queue)
        for node in forgotten:
            file.forget(node)
        lines = [line for line in lines if line.node not in forgotten]
        if lines:
            file.add(lines)
        with self._lock:
            # Those that made room for newer ones meanwhile are gone from the queue already.
            stored = set(map(id, lines))
            self._forgotten -= forgotten
            self._queue = deque(
                line
                for line in self._queue
                if id(line) not in stored and line.node not in forgotten
            )
        self._stored += len(lines)
        for event in flushed:
            event.set()

    def _open(self) -> None:
        if self.path is not None:
            self._file = LogFile(self.path, self._longest_ms, self._most_bytes)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
