"""The history: each reading once, acknowledged after its commit, whatever died in between."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bus.config.history_table import HistoryConfig
from bus.contract.messages import Backlog, Heartbeat, Reading, Stored, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.history.downsample import Folder
from hub_app.history.query import Asked, Query, UnknownSensorError
from hub_app.history.recorder import History, ranges_of
from hub_app.history.schema import BUCKET_MS, open_for_reading, open_history
from hub_app.history.writer import Arrival, Writer
from tests.support import PROJECT, WAIT_S

START = 1_795_000_200_000
DAY = 86_400_000


def reading(seq: int, stamp: int | None = None, stream: str = "s", **keys: object) -> Reading:
    known = {"data": {"t": float(seq), "up": True, "text": "x"}, "plugin": "p", **keys}
    stamp = START + seq * 2000 if stamp is None else stamp
    return msgspec.convert(
        {"node": "pi4", "sensor_id": "room", "timestamp_ms": stamp, "stream": stream, "seq": seq}
        | known,
        Reading,
    )


class Ears:
    """What the history answered."""

    def __init__(self) -> None:
        self.said: list[tuple[Topic, Stored]] = []
        self.takes = True
        self._changed = threading.Condition()

    def __call__(self, topic: Topic, stored: Stored) -> bool:
        with self._changed:
            if self.takes:
                self.said.append((topic, stored))
            self._changed.notify_all()
            return self.takes

    def wait_for_seq(self, seq: int, count: int = 1) -> None:
        def found() -> bool:
            hits = [a <= seq <= b for _, stored in self.said for a, b in stored.ranges]
            return sum(hits) >= count

        with self._changed:
            assert self._changed.wait_for(found, WAIT_S), self.said


@contextlib.contextmanager
def running(path: Path, ears: Ears, **keys: float) -> Iterator[History]:
    settings = HistoryConfig(**{"commit_s": 0.05, **keys})
    history = History("revpi", path, settings, ears, lambda: START)
    history.start()
    try:
        yield history
    finally:
        history.stop()


def offer(history: History, *readings: Reading, backlog: bool = False) -> None:
    if backlog:
        payload = encode(Backlog(list(readings)))
        history.offer(str(Topic("pi4", TopicKind.BACKLOG)), payload)
        return
    for one in readings:
        history.offer(str(Topic("pi4", TopicKind.READING, one.sensor_id)), encode(one))


def rows(path: Path) -> list[tuple[str, int]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT stream, seq FROM readings ORDER BY stream, seq").fetchall()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_history(tmp_path / "history.db")) as opened:
        yield opened


def times(db: sqlite3.Connection) -> list[tuple[int, int]]:
    return db.execute(
        "SELECT timestamp_ms, redated FROM readings ORDER BY timestamp_ms, seq"
    ).fetchall()


def test_what_is_stored_is_answered_and_what_comes_twice_is_kept_once(tmp_path: Path) -> None:
    ears, path = Ears(), tmp_path / "history.db"
    with running(path, ears) as history:
        offer(history, reading(1), reading(2))
        ears.wait_for_seq(2)
        assert rows(path) == [("s", 1), ("s", 2)]
        offer(history, reading(2), reading(3), reading(1, stream="other"), backlog=True)
        ears.wait_for_seq(2, count=2)
        ears.wait_for_seq(3)
    assert rows(path) == [("other", 1), ("s", 1), ("s", 2), ("s", 3)]
    assert (history.figures.stored, history.figures.repeated) == (4, 1)
    assert {str(topic) for topic, _ in ears.said} == {"harvester/pi4/stored"}


def test_stopping_commits_and_answers_what_has_arrived(tmp_path: Path) -> None:
    ears, path = Ears(), tmp_path / "history.db"
    with running(path, ears, commit_s=60) as history:
        offer(history, *(reading(n) for n in range(10)))
    assert ears.said[-1][1].ranges == [(0, 9)]
    assert len(rows(path)) == 10


def test_an_answer_that_the_bus_did_not_take_is_given_later(tmp_path: Path) -> None:
    ears = Ears()
    ears.takes = False
    with running(tmp_path / "history.db", ears) as history:
        offer(history, reading(1))
        while not history.figures.stored:
            threading.Event().wait(0.01)
        ears.takes = True
        ears.wait_for_seq(1)


def test_a_bad_reading_is_answered_and_spoils_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ears, path = Ears(), tmp_path / "history.db"
    good, large = encode(reading(1)), b'{"stream":"s","seq":2,"sensor_id":"room","node":"pi4"}'
    with running(path, ears) as history:
        topic = str(Topic("pi4", TopicKind.BACKLOG))
        history.offer(topic, b"[%s,%s,17,null]" % (good, large))
        history.offer(topic, b'[{"stream":"s","seq":99999999999999999999}]')
        history.offer(topic, b"\xff")
        ears.wait_for_seq(1)
        ears.wait_for_seq(2)
    assert rows(path) == [("s", 1)]
    assert history.figures.refused == 5
    assert caplog.text.count("refused a reading") == 1


@pytest.mark.parametrize(
    "bad",
    [
        reading(2**60),
        reading(5, stamp=2**62),
        reading(6, stream="x" * 100),
    ],
)
def test_a_number_that_no_database_holds_stops_nothing(tmp_path: Path, bad: Reading) -> None:
    ears = Ears()
    with running(tmp_path / "history.db", ears) as history:
        offer(history, bad, reading(1))
        ears.wait_for_seq(1)
    assert history.figures.refused == 1
    assert not history.figures.fault


def test_a_damaged_history_is_set_aside_and_a_new_one_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(b"no database" * 1000)
    ears = Ears()
    with running(path, ears) as history:
        offer(history, reading(1))
        ears.wait_for_seq(1)
    assert rows(path) == [("s", 1)]
    assert f"{path} is damaged" in caplog.text
    assert path.with_name("history.db.damaged").exists()


def test_without_room_nothing_is_answered_and_it_goes_on_when_there_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_app.history.recorder._AGAIN_S", 0.05)
    path, ears = tmp_path / "history.db", Ears()
    with running(path, ears) as history:
        assert history._db is not None
        # The page limit is what SQLite meets as SQLITE_FULL.
        (pages,) = history._db.execute("PRAGMA page_count").fetchone()
        history._db.execute(f"PRAGMA max_page_count={pages}")
        offer(history, *(reading(n, padding="", data={"x": "y" * 200}) for n in range(500)))
        while not history.figures.fault:
            threading.Event().wait(0.01)
        assert not ears.said
        offer(history, reading(1))
        ears.wait_for_seq(1)
    assert "readings wait at their nodes" in caplog.text
    assert rows(path) == [("s", 1)]
    assert not history.figures.fault


def test_what_explains_gaps_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with running(path, Ears()) as history:
        for dropped in (3, 3, 10):
            beat = Heartbeat(1, 1.0, 1.0, 1.0, 0, dropped, START)
            history.offer(str(Topic("pi4", TopicKind.HEARTBEAT)), encode(beat))
    with contextlib.closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT kind, detail FROM event ORDER BY id").fetchall()
    assert found == [
        ("hub", "started"),
        ("presence", "online"),
        ("dropped", "7"),
        ("hub", "stopped"),
    ]


def test_ranges_hold_exactly_what_they_are_made_of() -> None:
    assert ranges_of([3, 1, 2, 2, 7, 9, 8]) == [(1, 3), (7, 9)]
    assert ranges_of([]) == []


def test_readings_of_an_unset_clock_are_moved_when_it_is_set(db: sqlite3.Connection) -> None:
    month = 30 * DAY
    wrong = [
        reading(n, START - month + n, boot_id="b", monotonic_ms=1000 + n, clock="unset")
        for n in range(3)
    ]
    right = reading(9, START + 500, boot_id="b", monotonic_ms=1500)
    late = reading(4, START - month + 50, boot_id="b", monotonic_ms=1050, clock="unset")
    writer = Writer(db)
    for batch in (wrong, [right], [late]):
        writer.store([Arrival(one, False) for one in batch], [], START)
    assert times(db) == [
        *((START + n, 1) for n in range(3)),
        (START + 50, 1),
        (START + 500, 0),
    ]
    assert db.execute("SELECT count(*) FROM unset").fetchone() == (0,)
    writer.store([], [], START + DAY)
    fold(db, START + DAY)
    (found,) = Query(db).series(asked("t", START - 2 * month, START + DAY)).points
    assert (found[0], found[4]) == (START - START % BUCKET_MS, 5)


def test_a_writer_that_begins_anew_still_knows_whose_clock_was_wrong(
    db: sqlite3.Connection,
) -> None:
    unset = reading(1, START - DAY, boot_id="b", monotonic_ms=1000, clock="unset")
    Writer(db).store([Arrival(unset, False)], [], START)
    right = reading(2, START + 500, boot_id="b", monotonic_ms=1500)
    Writer(db).store([Arrival(right, False)], [], START)
    assert times(db) == [(START, 1), (START + 500, 0)]


def asked(field: str, from_ms: int, to_ms: int, points: int = 500) -> Asked:
    return Asked("pi4", "room", field, from_ms, to_ms, points)


def fold(db: sqlite3.Connection, now: int, **keys: float) -> None:
    folder = Folder(db, HistoryConfig(**keys))  # type: ignore[arg-type]
    while folder.step(now, now):
        pass


def fill(db: sqlite3.Connection, first: int, last: int) -> None:
    arrivals = [Arrival(reading(n), False) for n in range(first, last)]
    Writer(db).store(arrivals, [], START + last * 2000)


def test_a_short_range_is_answered_from_readings(db: sqlite3.Connection) -> None:
    fill(db, 0, 600)
    found = Query(db).series(asked("t", START + 100, START + 20_001))
    assert found.source == "readings"
    assert [point[1] for point in found.points] == [float(n) for n in range(1, 11)]
    assert found.points[0] == (START + 2000, 1.0, 1.0, 1.0, 1)


def test_more_readings_than_points_are_grouped_and_none_is_left_out(
    db: sqlite3.Connection,
) -> None:
    fill(db, 0, 600)
    found = Query(db).series(asked("t", START, START + 1_200_000, points=7)).points
    assert len(found) == 7
    assert sum(point[4] for point in found) == 600
    assert (found[0][2], found[-1][3]) == (0.0, 599.0)


def test_a_long_range_is_answered_from_means_and_agrees(db: sqlite3.Connection) -> None:
    fill(db, 0, 600)
    long = asked("t", START - 40 * DAY, START + DAY, points=10_000)
    before = Query(db).series(long)
    Writer(db).store([], [], START + DAY)
    fold(db, START + DAY)
    after = Query(db).series(long)
    assert before.source == after.source == "means"
    assert before.points == after.points
    assert [point[4] for point in after.points] == [150, 150, 150, 150]
    assert after.points[0] == (START, 74.5, 0.0, 149.0, 150)


def test_a_mean_is_made_again_when_a_reading_comes_late(db: sqlite3.Connection) -> None:
    fill(db, 0, 10)
    Writer(db).store([], [], START + DAY)
    fold(db, START + DAY)
    late = reading(10)
    Writer(db).store([Arrival(late, True)], [], START + 2 * DAY)
    fold(db, START + 2 * DAY)
    (point,) = Query(db).series(asked("t", START - 40 * DAY, START + DAY)).points
    assert point == (START, 5.0, 0.0, 10.0, 11)


def test_old_readings_are_forgotten_and_their_means_stay(db: sqlite3.Connection) -> None:
    fill(db, 0, 600)
    Writer(db).store([], [], START + DAY)
    fold(db, START + 31 * DAY)
    assert db.execute("SELECT count(*) FROM readings").fetchone() == (0,)
    found = Query(db).series(asked("t", START, START + 1_200_000))
    assert (found.source, len(found.points)) == ("means", 4)
    # One that comes later still is added to the mean that is there.
    Writer(db).store([Arrival(reading(600, START), True)], [], START + 31 * DAY)
    fold(db, START + 31 * DAY)
    assert Query(db).series(asked("t", START, START + 1000)).points[0][4] == 151


def test_a_hub_whose_clock_is_ahead_forgets_nothing(db: sqlite3.Connection) -> None:
    fill(db, 0, 10)
    Writer(db).store([], [], START + DAY)
    folder = Folder(db, HistoryConfig())
    while folder.step(START + 3650 * DAY, START):
        pass
    assert db.execute("SELECT count(*) FROM readings").fetchone() == (10,)


def test_old_means_are_forgotten(db: sqlite3.Connection) -> None:
    fill(db, 0, 10)
    Writer(db).store([], [], START + DAY)
    fold(db, START + DAY)
    folder = Folder(db, HistoryConfig(mean_days=10))
    for _ in range(5):
        folder.forget_means(START + 11 * DAY)
    assert db.execute("SELECT count(*) FROM mean").fetchone() == (0,)


def test_a_boolean_has_a_mean_and_a_text_has_none(db: sqlite3.Connection) -> None:
    fill(db, 0, 10)
    assert Query(db).series(asked("up", START, START + DAY)).points[0][1] == 1.0
    assert Query(db).series(asked("text", START, START + DAY)).points == []


def test_what_is_not_there_is_named(db: sqlite3.Connection) -> None:
    fill(db, 0, 1)
    with pytest.raises(UnknownSensorError, match="expected one of t, text, up"):
        Query(db).series(asked("humidity", 0, 1))
    with pytest.raises(UnknownSensorError, match="pi4:attic"):
        Query(db).series(Asked("pi4", "attic", "t", 0, 1, 1))


WRITER = """
import sys
from pathlib import Path
from hub_app.history.schema import open_history
from hub_app.history.writer import Writer, Arrival
from tests.hub_app.history.test_recorder import reading, START
writer = Writer(open_history(Path(sys.argv[1])))
n = int(sys.argv[2])
while True:
    # Time flies, so that readings move between the tables while it is killed.
    writer.store([Arrival(reading(n + i), False) for i in range(3)], [], START + n * 50_000)
    n += 3
    print(n, flush=True)
"""


def test_a_writer_that_is_killed_has_all_that_it_answered_for(tmp_path: Path) -> None:
    path, done = tmp_path / "history.db", 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(done)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if int(line) > done + 90:
                    break
            child.send_signal(signal.SIGKILL)
            said = [int(line) for line in (line, *child.stdout) if line.strip().isdigit()]
            child.wait(WAIT_S)
        found = rows(path)
        assert {("s", n) for n in range(said[-1])} <= set(found)
        assert len(set(found)) == len(found)
        done = said[-1]


def test_it_is_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with contextlib.closing(open_history(path)) as db:
        fill(db, 0, 10)
        with contextlib.closing(open_for_reading(path)) as reader:
            fill(db, 10, 20)
            assert len(Query(reader).series(asked("t", START, START + DAY)).points) == 20
            with pytest.raises(sqlite3.OperationalError):
                reader.execute("DELETE FROM reading")
