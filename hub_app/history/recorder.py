"""The hub's history: what comes over the bus becomes durable, and only then is it acknowledged.

Threads: the bus client's hands payloads over in `offer`; one of our own decodes, commits, answers
and, in between, downsamples and forgets. What does not fit in between is refused and not answered:
its node sends it again.
"""

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from bus.config.history_table import HistoryConfig
from bus.contract.messages import MAX_RANGES, Range, Reading, Stored, decode
from bus.contract.topics import Topic, TopicKind, parse
from bus.database import DamagedError, set_aside
from bus.errors import BadDataError, MisconfiguredError
from hub_app.history.decode import Name, Refused, readings_in
from hub_app.history.downsample import Folder
from hub_app.history.events import HUB, REFUSED, Chronicle
from hub_app.history.schema import open_history
from hub_app.history.writer import LARGEST, MAX_STREAM_CHARS, Arrival, Event, Writer

logger = logging.getLogger(__name__)

# Payloads that wait for the thread: many seconds of a full system.
_MAX_WAITING_BYTES = 64_000_000
# A commit does not wait for more than this, so that a backlog comes in fast.
_FULL_COMMIT = 2000
_HOUSEKEEPING_S = 5.0
# What folding and forgetting may take between two commits.
_HOUSEKEEPING_SLICE_S = 0.2
_AGAIN_S = 2.0
_LOG_EVERY_S = 60.0
_MAX_EVENTS = 1000
# Of one node, while the bus takes no answers.
_MAX_UNANSWERED = 10_000
_JOIN_S = 5.0

_KEPT = frozenset({TopicKind.READING, TopicKind.BACKLOG})
_EXPLAINING = frozenset({TopicKind.STATUS, TopicKind.HEARTBEAT, TopicKind.PLUGIN})

Answer = Callable[[Topic, Stored], bool]


class Figures(msgspec.Struct):
    """What the history did since it was opened."""

    stored: int = 0
    repeated: int = 0
    refused: int = 0
    overrun: int = 0
    commits: int = 0
    fault: str = ""


class History:
    """The history in `path`, of the hub that is called `node`, at work from `start` to `stop`."""

    def __init__(
        self,
        node: str,
        path: Path,
        settings: HistoryConfig,
        answer: Answer,
        now_ms: Callable[[], int],
    ) -> None:
        self.path = path
        self.figures = Figures()
        self._node = node
        self._settings = settings
        self._answer = answer
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._waiting_bytes = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._chronicle = Chronicle()
        self._arrivals: list[Arrival] = []
        self._answers: dict[str, dict[str, set[int]]] = {}
        self._events: list[Event] = [Event(node, now_ms(), HUB, "", "started")]
        self._db: sqlite3.Connection | None = None
        self._writer: Writer | None = None
        self._folder: Folder | None = None
        self._newest_ms = 0
        self._open_at_s = 0.0
        self._tidy_at_s = 0.0
        self._complained_s = -_LOG_EVERY_S
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self) -> None:
        """Open the file and begin. Raises MisconfiguredError where it is another program's."""
        self._open()
        self._thread.start()

    def stop(self) -> None:
        """Commit and answer what has arrived, then close."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(_JOIN_S)

    def offer(self, topic: str, payload: bytes) -> None:
        """Take a message as it came; never waits. Called on the bus client's thread."""
        size = len(payload) + 200
        with self._lock:
            if self._waiting_bytes + size > _MAX_WAITING_BYTES:
                self.figures.overrun += 1
                return
            self._waiting.append((topic, payload))
            self._waiting_bytes += size
        self._wake.set()

    # From here on, everything runs on our own thread.

    def _run(self) -> None:
        commit_at_s = time.monotonic() + self._settings.commit_s
        while not self._stopping.is_set():
            self._wake.wait(max(0.0, commit_at_s - time.monotonic()))
            self._wake.clear()
            self._take_in()
            is_due = time.monotonic() >= commit_at_s
            if is_due or len(self._arrivals) >= _FULL_COMMIT:
                self._guarded(self._commit)
                commit_at_s = time.monotonic() + self._settings.commit_s
                self._guarded(self._tidy)
        self._take_in()
        self._events.append(Event(self._node, self._now_ms(), HUB, "", "stopped"))
        self._guarded(self._commit)
        if self._db is not None:
            self._db.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do `work`; whatever fails, this thread goes on, and nothing is answered that is lost."""
        try:
            work()
        except DamagedError as e:
            self._close()
            set_aside(self.path, str(e))
            self._open_at_s = 0.0
        except sqlite3.Error as e:
            self._say_fault(f"{self.path}: {e}; readings wait at their nodes")
            self._close()
        except Exception:
            logger.exception("the history failed")
            self._close()

    def _take_in(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, deque()
            self._waiting_bytes = 0
        now_ms = self._now_ms()
        for text, payload in batch:
            try:
                self._hear(parse(text), payload, now_ms)
            except BadDataError:
                # The live state counts and logs these.
                continue
            except Exception:
                # This thread has no other owner, and nothing that comes over the bus may end it.
                logger.exception("the history failed at a message on %s", text[:200])

    def _hear(self, topic: Topic, payload: bytes, now_ms: int) -> None:
        if topic.kind in _KEPT:
            good, bad = readings_in(topic, payload)
            for refused in bad:
                self._refuse(topic.node, refused)
            for reading in good:
                self._admit(reading, is_late=topic.kind is TopicKind.BACKLOG)
        elif topic.kind in _EXPLAINING:
            self._events += self._chronicle.hear(topic, decode(topic, payload), now_ms)

    def _admit(self, reading: Reading, *, is_late: bool) -> None:
        name = Name(reading.stream, reading.seq)
        try:
            if self._writer is not None:
                self._writer.check(reading)
        except BadDataError as e:
            nameable = len(name.stream) <= MAX_STREAM_CHARS and name.seq <= LARGEST
            self._refuse(reading.node, Refused(name if nameable else None, str(e)))
            return
        self._arrivals.append(Arrival(reading, is_late))
        self._note(reading.node, name)

    def _refuse(self, node: str, refused: Refused) -> None:
        self.figures.refused += 1
        self._complain(f"refused a reading, {self.figures.refused} so far: {refused.reason}")
        if len(self._events) < _MAX_EVENTS:
            self._events.append(Event(node, self._now_ms(), REFUSED, "", refused.reason[:300]))
        if refused.name is not None:
            self._note(node, refused.name)

    def _note(self, node: str, name: Name) -> None:
        self._answers.setdefault(node, {}).setdefault(name.stream, set()).add(name.seq)

    def _commit(self) -> None:
        arrivals, self._arrivals = self._arrivals, []
        answers, self._answers = self._answers, {}
        self._events += self._chronicle.sweep(self._now_ms())
        del self._events[:-_MAX_EVENTS]
        if self._writer is None and not self._open_again():
            return
        if self._writer is None or not (arrivals or answers or self._events):
            return
        events, self._events = self._events, []
        added = self._writer.store(arrivals, events, self._now_ms())
        if arrivals:
            self._newest_ms = max(arrival.reading.timestamp_ms for arrival in arrivals)
        self.figures.commits += 1
        self.figures.stored += added
        self.figures.repeated += len(arrivals) - added
        if self.figures.fault:
            self.figures.fault = ""
            logger.warning("%s: works again", self.path)
        self._say_stored(answers)

    def _say_stored(self, answers: dict[str, dict[str, set[int]]]) -> None:
        for node, streams in answers.items():
            for stream, seqs in streams.items():
                ranges = ranges_of(seqs)
                for start in range(0, len(ranges), MAX_RANGES):
                    stored = Stored(stream, ranges[start : start + MAX_RANGES])
                    if not self._answer(Topic(node, TopicKind.STORED), stored):
                        self._answer_later(node, stored)

    def _answer_later(self, node: str, stored: Stored) -> None:
        """Keep what the bus has not taken for the next commit; without a bus, nodes ask again."""
        if sum(len(seqs) for seqs in self._answers.get(node, {}).values()) > _MAX_UNANSWERED:
            return
        for first, last in stored.ranges:
            for seq in range(first, last + 1):
                self._note(node, Name(stored.stream, seq))

    def _tidy(self) -> None:
        now_s = time.monotonic()
        if self._folder is None or now_s < self._tidy_at_s:
            return
        more = True
        while more and time.monotonic() < now_s + _HOUSEKEEPING_SLICE_S:
            more = self._folder.step(self._now_ms(), self._newest_ms)
        self._folder.forget_means(min(self._now_ms(), self._newest_ms))
        self._tidy_at_s = 0.0 if more else now_s + _HOUSEKEEPING_S

    def _open(self) -> None:
        try:
            self._db = open_history(self.path)
            self._writer = Writer(self._db)
            self._folder = Folder(self._db, self._settings)
        except DamagedError as e:
            self._close()
            set_aside(self.path, str(e))
            raise MisconfiguredError(f"{self.path}: cannot be made anew") from e
        except sqlite3.Error as e:
            self._say_fault(f"{self.path}: {e}; readings wait at their nodes")
            self._close()

    def _open_again(self) -> bool:
        if time.monotonic() < self._open_at_s:
            return False
        try:
            self._open()
        except MisconfiguredError as e:
            self._say_fault(str(e))
            self._close()
        return self._writer is not None

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = self._writer = self._folder = None
        self._open_at_s = time.monotonic() + _AGAIN_S

    def _say_fault(self, text: str) -> None:
        """Log that nothing is stored; that it works again is logged by the next commit."""
        if not self.figures.fault:
            logger.error("%s", text)
        self.figures.fault = text

    def _complain(self, text: str) -> None:
        """Log what came in wrong, at most once a minute."""
        now_s = time.monotonic()
        if now_s - self._complained_s >= _LOG_EVERY_S:
            self._complained_s = now_s
            logger.warning("%s", text)


def ranges_of(seqs: Iterable[int]) -> list[Range]:
    """Return ascending inclusive ranges that hold exactly `seqs`."""
    ranges: list[Range] = []
    for seq in sorted(seqs):
        if ranges and seq == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], seq)
        elif not ranges or seq > ranges[-1][1]:
            ranges.append((seq, seq))
    return ranges
