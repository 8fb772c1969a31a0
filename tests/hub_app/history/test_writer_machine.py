"""Stateful test of the history: in any order, each reading is stored once, all means are right."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bus.config.history_table import HistoryConfig
from bus.contract.messages import Reading
from hub_app.history.query.series import SeriesQuery, SeriesReader
from hub_app.history.retention.housekeeping import Housekeeping
from hub_app.history.schema import BUCKET_MS, bucket_of, open_history
from hub_app.history.writer import Arrival, Writer

START = 1_795_000_200_000
SECONDS = 1000
# Of each boot: what its wrong clock shows less than the right one.
BEHIND_MS = 40 * 86_400_000


class HistoryMachine(RuleBasedStateMachine):
    """`kept`: by (stream, seq), when a reading was really taken, and its value."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.kept: dict[tuple[str, int], tuple[int, float]] = {}
        self.unset: set[tuple[str, int]] = set()
        self.now_ms = START
        self._open()

    def _open(self) -> None:
        self.db = open_history(self.directory / "history.db")
        self.writer = Writer(self.db)
        self.housekeeping = Housekeeping(self.db, HistoryConfig())

    @rule(
        stream=st.sampled_from(["a", "b"]),
        first=st.integers(0, 400),
        count=st.integers(1, 40),
        is_late=st.booleans(),
        is_set=st.booleans(),
    )
    def arrive(self, stream: str, first: int, count: int, is_late: bool, is_set: bool) -> None:
        arrivals = []
        for seq in range(first, first + count):
            at_ms = START + seq * 5000
            clock = "set" if is_set else "unset"
            shown_ms = at_ms if is_set else at_ms - BEHIND_MS
            reading = Reading(
                *("pi4", "room", shown_ms, stream, seq, {"t": float(seq)}, ""),
                *(f"boot-{stream}", at_ms - START + 1000, clock),
            )
            arrivals.append(Arrival(reading, is_late))
            self.kept.setdefault((stream, seq), (at_ms, float(seq)))
        self.writer.store(arrivals, [], self.now_ms)
        if is_set:
            self._settle_clock(stream)

    def _settle_clock(self, stream: str) -> None:
        while self.db.execute(
            "SELECT 1 FROM unset JOIN stream ON stream.id = stream WHERE stream.name = ?", (stream,)
        ).fetchone():
            self.writer.store([], [], self.now_ms)

    @rule(seconds=st.sampled_from([2, 60, 400, 4000]))
    def wait(self, seconds: int) -> None:
        self.now_ms += seconds * SECONDS
        self.writer.store([], [], self.now_ms)

    @rule()
    def downsample(self) -> None:
        while self.housekeeping.step(self.now_ms, self.now_ms):
            pass

    @rule()
    def restart(self) -> None:
        self.db.close()
        self._open()

    @invariant()
    def each_is_there_once(self) -> None:
        found = self.db.execute("SELECT stream, seq FROM readings").fetchall()
        assert sorted(found) == sorted(self.kept)

    @invariant()
    def what_is_known_to_be_right_is_where_it_belongs(self) -> None:
        known = {name for (name,) in self.db.execute("SELECT substr(boot_id, 6) FROM boot")}
        expected = sorted(at for (stream, _), (at, _) in self.kept.items() if stream in known)
        if known != {stream for stream, _ in self.kept} or not self.kept:
            return
        low, high = expected[0], expected[-1] + 1
        query = SeriesQuery("pi4", "room", "t", low, high, 10_000)
        assert [point[0] for point in SeriesReader(self.db).series(query).points] == expected
        self._check_means(low, high)

    def _check_means(self, low: int, high: int) -> None:
        long = SeriesQuery("pi4", "room", "t", low - 50 * 86_400_000, high + BUCKET_MS, 10_000)
        found = SeriesReader(self.db).series(long).points
        counts: dict[int, int] = {}
        for at_ms, _ in self.kept.values():
            counts[bucket_of(at_ms)] = counts.get(bucket_of(at_ms), 0) + 1
        assert {point[0]: point[4] for point in found} == counts

    def teardown(self) -> None:
        self.db.close()
        shutil.rmtree(self.directory)


TestHistoryMachine = HistoryMachine.TestCase
TestHistoryMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
