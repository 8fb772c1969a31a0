"""Forwarder of the hub's history to the fleet's database, on a thread of its own.

The history is its outbox: while the database is away, nothing is kept in memory, and the hub
works as it does without a fleet.
"""

import contextlib
import logging
import random
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bus.client.backoff import Backoff
from bus.clock import now_ms
from bus.config.history_table import FleetConfig
from bus.fault import Fault
from hub_app.alarms.rules import Rule
from hub_app.fleet.connection import Timeouts
from hub_app.fleet.errors import FleetUnavailableError, ReplacedTablesError
from hub_app.fleet.forward.database import FleetDatabase
from hub_app.fleet.forward.entries import ChangedEntries, EntryFeed
from hub_app.fleet.forward.history_source import HistorySource, StreamKey
from hub_app.fleet.forward.ranges import SeqRanges
from hub_app.fleet.forward.reading_feed import ReadingFeed, count_waiting
from hub_app.fleet.forward.record_feed import RecordFeed
from hub_app.fleet.forward.status import FleetStatus
from hub_app.process.supervisor import Supervisor

logger = logging.getLogger(__name__)

# Readings in one transaction.
_BATCH = 3000
_JOIN_S = 10.0
# Different reasons of one fault that are logged, each once.
_MOST_REASONS = 20
# Files, connections and numbers in a reason, which differ each time.
_VARYING = re.compile(r'"[^"]*"|[0-9]+')


class ForwarderTimes(msgspec.Struct, frozen=True):
    """Times in seconds between two rounds of each work, and of the network. Tests shorten them."""

    first_retry_s: float = 1.0
    longest_retry_s: float = 30.0
    entries_s: float = 5.0
    records_s: float = 5.0
    redate_s: float = 5.0
    means_s: float = 10.0
    maintain_s: float = 600.0
    count_s: float = 10.0
    network: Timeouts = Timeouts()


class _ReplacedError(FleetUnavailableError):
    """The history is another file than the one that is open."""


class FleetForwarder:
    """Forwards the history at `path` from `start` to `stop`.

    `request_entries` lets the event loop put the whole live state into `entries`. `rules` returns
    those of the alarms; any thread may call it.
    """

    def __init__(  # noqa: PLR0913 - all that a site forwards
        self,
        settings: FleetConfig,
        path: Path,
        *,
        supervisor: Supervisor | None = None,
        request_entries: Callable[[Callable[[list[str]], None]], None] = lambda _done: None,
        rules: Callable[[], Sequence[Rule]] = list,
        times: ForwarderTimes | None = None,
    ) -> None:
        self._times = times or ForwarderTimes()
        self.entries = ChangedEntries()
        self._settings = settings
        self._path = path
        self._supervisor = supervisor or Supervisor()
        self._request_entries = request_entries
        self._rules = rules
        self._fault = Fault("fleet", logger=logger, level=logging.WARNING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
        # Those that the present fault had.
        self._reasons: set[str] = set()
        self._is_connected = False
        self._since_ms = now_ms()
        self._forwarded = 0
        self._redated = 0
        self._waiting = -1
        # What the database had when it was last there.
        self._stored: Mapping[StreamKey, SeqRanges] | None = None
        self._topics: list[str] | None = None

    @property
    def status(self) -> FleetStatus:
        """The state of the forwarding. Any thread may call."""
        return FleetStatus(
            database=_name_of(self._settings.url),
            site=self._settings.site,
            connected=self._is_connected,
            since_ms=self._since_ms,
            last_error=self._fault.reason,
            forwarded=self._forwarded,
            redated=self._redated,
            waiting=self._waiting,
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the forwarding; what is not forwarded stays in the history."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    # The methods below run on the forwarder's own thread.

    def _run(self) -> None:
        self._supervisor.run_here("fleet", self._work, self._stopping.wait)

    def _work(self) -> None:
        backoff = Backoff(
            self._times.first_retry_s, self._times.longest_retry_s, draw=_half_or_more
        )
        while not self._stopping.is_set():
            try:
                with (
                    contextlib.closing(HistorySource(self._path)) as source,
                    contextlib.closing(self._open_database(source)) as database,
                ):
                    self._forward(database, source, backoff)
            except _ReplacedError as e:
                logger.info("%s", e)
            except ReplacedTablesError as e:
                logger.warning("fleet: %s", e)
            except (FleetUnavailableError, sqlite3.Error) as e:
                self._note_failed(str(e))
                self._count_in_outage()
                self._stopping.wait(backoff.next_s())
            except Exception as e:
                self._note_failed(repr(e))
                raise

    def _open_database(self, source: HistorySource) -> FleetDatabase:
        return FleetDatabase(self._settings, self._times.network, history=source.identity())

    def _forward(self, database: FleetDatabase, source: HistorySource, backoff: Backoff) -> None:
        inode = self._path.stat().st_ino
        readings = ReadingFeed(source, database)
        records = RecordFeed(source, database)
        entries = EntryFeed(self.entries, database, self._rules)
        self._topics = None
        self._stored = database.names.stored
        self._request_entries(self._set_topics)
        times = self._times
        tasks = (
            _Periodic(times.entries_s, lambda: self._forward_entries(entries)),
            _Periodic(times.records_s, records.forward),
            _Periodic(times.redate_s, lambda: self._redate(readings, database)),
            _Periodic(times.means_s, database.compute_means),
            _Periodic(times.maintain_s, database.maintain),
            _Periodic(times.count_s, lambda: self._count(source)),
        )
        while not self._stopping.is_set():
            database.check_tables()
            has_more = self._forward_readings(readings, database)
            for task in tasks:
                has_more = task.run_if_due() or has_more
            self._note_worked()
            backoff.reset()
            if self._path.stat().st_ino != inode:
                raise _ReplacedError(f"{self._path} was replaced")
            if not has_more:
                self._stopping.wait(self._settings.interval_s)

    def _forward_readings(self, readings: ReadingFeed, database: FleetDatabase) -> bool:
        rows = readings.take(_BATCH)
        if rows:
            self._forwarded += database.store(rows)
            readings.stored(rows)
        return len(rows) >= _BATCH

    def _redate(self, readings: ReadingFeed, database: FleetDatabase) -> bool:
        rows = readings.take_redated()
        if rows:
            self._redated += database.redate(rows)
        return bool(rows)

    def _forward_entries(self, entries: EntryFeed) -> bool:
        topics, self._topics = self._topics, None
        entries.forward()
        if topics is not None:
            entries.forget_former(topics)
        return False

    def _count(self, source: HistorySource) -> bool:
        if self._stored is not None:
            self._waiting = count_waiting(source, self._stored)
        return False

    def _count_in_outage(self) -> None:
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(HistorySource(self._path)) as it,
        ):
            self._count(it)

    def _set_topics(self, topics: list[str]) -> None:
        """Take the topics of the live state, whose entries have been put. On the event loop."""
        self._topics = topics

    def _note_failed(self, reason: str) -> None:
        """Note a failure; log it where it begins, and each other reason that it has until its end.

        The first is often that a connection was lost, and a later one why there is no new one.
        """
        begins, kind = self._fault.failed(reason), _VARYING.sub("", reason)
        if kind not in self._reasons and len(self._reasons) < _MOST_REASONS:
            self._reasons.add(kind)
            if not begins:
                logger.warning("fleet: %s", reason)
        self._set_connected(False)

    def _note_worked(self) -> None:
        self._fault.worked()
        self._reasons.clear()
        self._set_connected(True)

    def _set_connected(self, is_connected: bool) -> None:  # noqa: FBT001 - the state itself
        if is_connected != self._is_connected:
            self._is_connected, self._since_ms = is_connected, now_ms()


class _Periodic:
    """Work that is due every so many seconds, and at once where it left something to do."""

    def __init__(self, interval_s: float, work: Callable[[], bool | None]) -> None:
        self._interval_s = interval_s
        self._work = work
        self._at_s = 0.0

    def run_if_due(self) -> bool:
        """Do the work if it is due; return whether there is more of it."""
        if time.monotonic() < self._at_s:
            return False
        has_more = bool(self._work())
        self._at_s = time.monotonic() + (0.0 if has_more else self._interval_s)
        return has_more


def _half_or_more(_least: float, bound_s: float) -> float:
    return random.uniform(bound_s / 2, bound_s)


def _name_of(url: str) -> str:
    """Return host and database, without the user."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname or 'localhost'}{port}{parts.path}"
