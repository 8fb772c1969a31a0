"""The recorder stores each reading once and acknowledges it after its commit."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus.config.history_table import HistoryConfig
from bus.contract.messages import Backlog, Heartbeat, Reading, Status, Stored, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.history.acknowledge import Answer
from hub_app.history.events import Event
from hub_app.history.inbox import Inbox
from hub_app.history.recorder import Recorder
from hub_app.history.writer import Outcome, Writer
from tests.hub_app.history.samples import DAY, START, reading, rows
from tests.support import WAIT_S, wait_until

STATUS = Status("online", "spoke", "1", "b", START)


class Bus:
    """Takes `stored` messages, or not while `is_connected` is False."""

    def __init__(self) -> None:
        self.published: list[tuple[Topic, Stored]] = []
        self.is_connected = True
        self._changed = threading.Condition()

    def __call__(self, answers: Sequence[Answer]) -> int:
        with self._changed:
            if self.is_connected:
                self.published += answers
            self._changed.notify_all()
            return len(answers) if self.is_connected else 0

    def wait_for_seq(self, seq: int, count: int = 1) -> None:
        def found() -> bool:
            hits = [a <= seq <= b for _, stored in self.published for a, b in stored.ranges]
            return sum(hits) >= count

        self._wait_for(found)

    def wait_for_refused(self, seq: int) -> None:
        def found() -> bool:
            return any((seq, seq) in stored.refused for _, stored in self.published)

        self._wait_for(found)

    def _wait_for(self, found: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(found, WAIT_S), self.published


class TestedRecorder(Recorder):
    """A recorder whose hub is `revpi` and whose clock stands still."""

    __test__ = False

    def __init__(self, path: Path, settings: HistoryConfig, bus: Bus) -> None:
        self.inbox = Inbox()
        super().__init__(
            "revpi", path, settings, inbox=self.inbox, publish=bus, now_ms=lambda: START
        )


@contextlib.contextmanager
def running(path: Path, bus: Bus, **keys: float) -> Iterator[TestedRecorder]:
    settings = HistoryConfig(**{"commit_s": 0.05, **keys})
    history = TestedRecorder(path, settings, bus)
    history.start()
    try:
        yield history
    finally:
        history.stop()


def offer(history: TestedRecorder, *readings: Reading, backlog: bool = False) -> None:
    if backlog:
        payload = encode(Backlog(list(readings)))
        history.inbox.put(str(Topic("pi4", TopicKind.BACKLOG)), payload)
        return
    for one in readings:
        history.inbox.put(str(Topic("pi4", TopicKind.READING, one.sensor_id)), encode(one))


def test_what_is_stored_is_answered_and_what_comes_twice_is_kept_once(tmp_path: Path) -> None:
    bus, path = Bus(), tmp_path / "history.db"
    with running(path, bus) as history:
        offer(history, reading(1), reading(2))
        bus.wait_for_seq(2)
        assert rows(path) == [("s", 1), ("s", 2)]
        offer(history, reading(2), reading(3), reading(1, stream="other"), backlog=True)
        bus.wait_for_seq(2, count=2)
        bus.wait_for_seq(3)
    assert rows(path) == [("other", 1), ("s", 1), ("s", 2), ("s", 3)]
    assert (history.statistics.stored, history.statistics.repeated) == (4, 1)
    assert {str(topic) for topic, _ in bus.published} == {"harvester/pi4/stored"}


def test_stopping_commits_and_answers_what_has_arrived(tmp_path: Path) -> None:
    bus, path = Bus(), tmp_path / "history.db"
    with running(path, bus, commit_s=60) as history:
        offer(history, *(reading(n) for n in range(10)))
    assert bus.published[-1][1].ranges == [(0, 9)]
    assert len(rows(path)) == 10


def test_a_reading_older_than_what_is_kept_is_stored_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bus = Bus()
    with running(tmp_path / "history.db", bus) as history:
        offer(history, reading(1, START - 40 * DAY))
        bus.wait_for_seq(1)
    assert "40 days old by the hub's clock" in history.old_readings.sentence("pi4", START)
    assert "only their means are kept" in caplog.text


def test_an_answer_that_the_bus_did_not_take_is_given_later(tmp_path: Path) -> None:
    bus = Bus()
    bus.is_connected = False
    with running(tmp_path / "history.db", bus) as history:
        offer(history, reading(1))
        while not history.statistics.stored:
            threading.Event().wait(0.01)
        bus.is_connected = True
        bus.wait_for_seq(1)


def test_a_bad_reading_is_refused_for_good_and_spoils_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bus, path = Bus(), tmp_path / "history.db"
    good, large = encode(reading(1)), b'{"stream":"s","seq":2,"sensor_id":"room","node":"pi4"}'
    with running(path, bus) as history:
        topic = str(Topic("pi4", TopicKind.BACKLOG))
        history.inbox.put(topic, b"[%s,%s,17,null]" % (good, large))
        history.inbox.put(topic, b'[{"stream":"s","seq":99999999999999999999}]')
        history.inbox.put(topic, b"\xff")
        bus.wait_for_seq(1)
        bus.wait_for_refused(2)
    assert rows(path) == [("s", 1)]
    assert history.statistics.refused == 5
    assert caplog.text.count("refused a message of pi4") == 1
    assert not any(a <= 2 <= b for _, stored in bus.published for a, b in stored.ranges)


@pytest.mark.parametrize(
    "bad",
    [
        msgspec.structs.replace(reading(5), seq=2**60),
        msgspec.structs.replace(reading(5), timestamp_ms=2**62),
        msgspec.structs.replace(reading(5), stream="x" * 100),
        msgspec.structs.replace(reading(5), data={"x": 10**400}),
        msgspec.structs.replace(reading(5), boot_id="b" * 200_000),
    ],
)
def test_a_number_that_no_database_holds_stops_nothing(tmp_path: Path, bad: Reading) -> None:
    bus = Bus()
    with running(tmp_path / "history.db", bus) as history:
        offer(history, bad, reading(1))
        bus.wait_for_seq(1)
    assert history.statistics.refused == 1
    assert not history.statistics.fault


def test_a_damaged_history_is_set_aside_and_a_new_one_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(b"no database" * 1000)
    bus = Bus()
    with running(path, bus) as history:
        offer(history, reading(1))
        bus.wait_for_seq(1)
    assert rows(path) == [("s", 1)]
    assert f"{path} is damaged" in caplog.text
    assert path.with_name("history.db.damaged").exists()


def test_without_room_nothing_is_answered_and_it_goes_on_when_there_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_app.history.commit.committer._REOPEN_S", 0.05)
    path, bus = tmp_path / "history.db", Bus()
    with running(path, bus) as history:
        file = history._committer._file
        assert file is not None
        # The page limit is what SQLite meets as SQLITE_FULL.
        (pages,) = file.db.execute("PRAGMA page_count").fetchone()
        file.db.execute(f"PRAGMA max_page_count={pages}")
        # One reading that needs more pages: several could be spread over several commits.
        offer(history, reading(500, padding="", data={f"x{n}": "y" * 250 for n in range(60)}))
        while not history.statistics.fault:
            threading.Event().wait(0.01)
        assert not bus.published
        offer(history, reading(1))
        bus.wait_for_seq(1)
    assert "readings wait at their nodes" in caplog.text
    assert rows(path) == [("s", 1)]
    assert not history.statistics.fault


def test_the_events_of_a_failed_commit_are_stored_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_app.history.commit.committer._REOPEN_S", 0.05)
    is_seen = threading.Event()
    store, path, bus = Writer.store, tmp_path / "history.db", Bus()

    def failing(writer: Writer, *batch: Any) -> Outcome:
        if not is_seen.is_set():
            raise sqlite3.OperationalError("disk I/O error")
        return store(writer, *batch)

    monkeypatch.setattr(Writer, "store", failing)
    with running(path, bus) as history:
        wait_until(lambda: history.statistics.fault)
        is_seen.set()
        offer(history, reading(1))
        bus.wait_for_seq(1)
    with contextlib.closing(sqlite3.connect(path)) as db:
        found = [detail for (detail,) in db.execute("SELECT detail FROM event ORDER BY id")]
    assert found[0] == "started"


def test_a_failure_of_the_program_is_a_fault_and_the_next_commit_mends_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_app.history.commit.committer._REOPEN_S", 0.05)
    is_seen = threading.Event()
    store = Writer.store

    def failing(writer: Writer, *batch: Any) -> Outcome:
        if not is_seen.is_set():
            raise ZeroDivisionError("a mistake")
        return store(writer, *batch)

    monkeypatch.setattr(Writer, "store", failing)
    bus = Bus()
    with running(tmp_path / "history.db", bus) as history:
        wait_until(lambda: "a mistake" in history.statistics.fault)
        is_seen.set()
        offer(history, reading(1))
        bus.wait_for_seq(1)
        assert not history.statistics.fault
    assert "Traceback" in caplog.text


def test_an_event_that_no_database_holds_is_dropped_and_all_others_are_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_app.history.commit.committer._REOPEN_S", 0.0)
    path, bus = tmp_path / "history.db", Bus()
    with running(path, bus, commit_s=0.01) as history:
        for name in ("one", "\ud800", "two"):
            history._committer._pending.add([Event(name, START, "plugin")])
        offer(history, reading(1))
        wait_until(lambda: not history._committer._pending, WAIT_S)
        offer(history, reading(2))
        bus.wait_for_seq(2)
    assert "not stored, as the history fails at it" in caplog.text
    with contextlib.closing(sqlite3.connect(path)) as db:
        found = db.execute(
            "SELECT node.name FROM event JOIN node ON node.id = node WHERE kind = 'plugin'"
        )
        assert sorted(found.fetchall()) == [("one",), ("two",)]


def test_a_reading_that_no_database_holds_is_refused_and_all_others_are_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, bus = tmp_path / "history.db", Bus()
    bad = msgspec.structs.replace(reading(0), sensor_id="attic", seq=1 << 63)
    with running(path, bus, commit_s=60) as history:
        for one in (reading(1), bad, reading(2)):
            topic = Topic("pi4", TopicKind.READING, one.sensor_id)
            history.inbox.put(str(topic), encode(one), one)
    assert rows(path) == [("s", 1), ("s", 2)]
    assert [(stored.ranges, stored.refused) for _, stored in bus.published] == [
        ([(1, 2)], [(1 << 63, 1 << 63)])
    ]
    assert (history.statistics.stored, history.statistics.refused) == (2, 1)
    assert not history.statistics.fault
    assert "pi4: the history fails at the reading of attic: OverflowError(" in caplog.text
    with contextlib.closing(sqlite3.connect(path)) as db:
        kinds = {kind for (kind,) in db.execute("SELECT kind FROM event")}
    assert kinds == {"hub"}


def test_timestamps_are_repaired_while_nothing_else_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_app.history.clock_repair._REPAIRED_AT_ONCE", 10)
    path = tmp_path / "history.db"
    unset = [
        reading(n, START - DAY + n, boot_id="b", monotonic_ms=1000 + n, clock="unset")
        for n in range(100)
    ]
    right = reading(100, START + 500, boot_id="b", monotonic_ms=1500)
    with running(path, Bus()) as history:
        offer(history, *unset, right, backlog=True)
        with contextlib.closing(sqlite3.connect(path)) as db:
            wrong = "SELECT count(*) FROM readings WHERE timestamp_ms < ?"
            wait_until(lambda: history.statistics.stored == 101, WAIT_S)
            wait_until(lambda: db.execute(wrong, (START,)).fetchone() == (0,), WAIT_S)


def test_what_explains_gaps_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with running(path, Bus()) as history:
        for dropped in (3, 3, 10):
            beat = Heartbeat(1, 1.0, 1.0, 1.0, 0, dropped, START)
            history.inbox.put(str(Topic("pi4", TopicKind.HEARTBEAT)), encode(beat))
    with contextlib.closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT kind, detail FROM event ORDER BY id").fetchall()
    assert found == [
        ("hub", "started"),
        ("presence", "online"),
        ("dropped", "7"),
        ("hub", "stopped"),
    ]


def test_an_event_is_dated_when_it_arrives_however_rare_commits_are(tmp_path: Path) -> None:
    path, clock_ms, inbox = tmp_path / "history.db", [START], Inbox()
    settings = HistoryConfig(commit_s=60)
    history = Recorder(
        "revpi", path, settings, inbox=inbox, publish=len, now_ms=lambda: clock_ms[0]
    )
    history.start()
    try:
        inbox.put(str(Topic("pi4", TopicKind.STATUS)), encode(STATUS))
        events = history._builder._batch.events
        # Long before the commit.
        wait_until(lambda: "pi4" in {event.node for event in events}, WAIT_S / 2)
        clock_ms[0] += 50_000
    finally:
        history.stop()
    with contextlib.closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT at_ms FROM event WHERE kind = 'presence' AND detail = 'online'")
        assert found.fetchall() == [(START,)]
