"""Quotas of the history: what one node takes never takes another's place."""

import contextlib
import sqlite3
from pathlib import Path

import msgspec
import pytest

from bus.clock import now_ms
from bus.config.limits_table import LimitsConfig
from bus.contract.messages import Reading
from hub_app.history.removal import hide_sensor
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Outcome, Writer
from hub_app.quota.refusals import Reason
from tests.hub_app.history.samples import DAY, START, downsample, reading


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    return open_history(tmp_path / "history.db")


def store(writer: Writer, *readings: Reading, now_ms: int = START) -> Outcome:
    return writer.store([Arrival(one, False) for one in readings], [], now_ms)


def reasons(outcome: Outcome) -> list[Reason]:
    return [reason for _, reason in outcome.refused]


def test_a_node_that_names_thousands_of_sensors_leaves_room_for_others(
    db: sqlite3.Connection,
) -> None:
    writer = Writer(db)
    many = [reading(n, sensor_id=f"s{n}") for n in range(6000)]
    outcome = store(writer, *many, reading(1, node="pi5"))
    limit = LimitsConfig().sensors
    assert [one.node for one in outcome.kept].count("pi4") == limit
    assert [one.node for one in outcome.kept].count("pi5") == 1
    assert reasons(outcome) == [Reason.SENSORS] * (6000 - limit)
    # Known ones are still taken, and what is there already is answered again.
    assert len(store(writer, reading(9000, sensor_id="s0"), many[0]).kept) == 2


def test_the_places_of_silent_sensors_are_free_again(db: sqlite3.Connection) -> None:
    limits = LimitsConfig(sensors=1, silent_days=1.0)
    writer = Writer(db, limits)
    store(writer, reading(1, sensor_id="old"))
    assert reasons(store(writer, reading(2, sensor_id="new"), now_ms=START + DAY)) == ["sensors"]
    assert store(writer, reading(2, sensor_id="new"), now_ms=START + DAY + 1).added == 1
    # Another writer counts what is in the file.
    again = Writer(db, limits)
    assert reasons(store(again, reading(3, sensor_id="more"), now_ms=START + DAY)) == ["sensors"]


def test_a_node_whose_clock_is_years_behind_is_not_silent_after_a_restart(
    db: sqlite3.Connection,
) -> None:
    limits = LimitsConfig(nodes=1, silent_days=1.0)
    # Taken in 1970, as a machine without a clock says.
    for seq in range(3):
        store(Writer(db, limits), reading(seq, stamp=seq), now_ms=START + seq * DAY)
    again = Writer(db, limits)
    other = reading(1, node="pi5")
    assert reasons(store(again, other, now_ms=START + 3 * DAY)) == ["nodes"]
    assert store(Writer(db, limits), other, now_ms=START + 3 * DAY + 1).added == 1


def test_sensors_of_an_older_file_count_as_heard_when_it_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with contextlib.closing(open_history(path)) as older:
        store(Writer(older), reading(1, stamp=1))
        older.execute("DROP TABLE arrived")
        older.execute("PRAGMA user_version = 4")
    with contextlib.closing(open_history(path)) as db:
        writer = Writer(db, LimitsConfig(nodes=1))
        assert reasons(store(writer, reading(1, node="pi5"), now_ms=now_ms())) == ["nodes"]


def test_streams_and_sets_of_fields_are_bounded(db: sqlite3.Connection) -> None:
    writer = Writer(db, LimitsConfig(streams=2, field_sets=2))
    streams = store(writer, *(reading(1, stream=f"s{n}") for n in range(4)))
    assert reasons(streams) == [Reason.STREAMS] * 2
    fields = store(writer, *(reading(9 + n, stream="s0", data={f"f{n}": 1}) for n in range(4)))
    assert reasons(fields) == [Reason.FIELD_SETS] * 3
    assert db.execute("SELECT count(*) FROM shape").fetchone() == (2,)


def test_a_node_has_a_quota_of_bytes_each_day(db: sqlite3.Connection) -> None:
    writer = Writer(db, LimitsConfig(history_mb_per_day=1))
    large = [reading(n, data={f"f{i}": "x" * 250 for i in range(40)}) for n in range(150)]
    outcome = store(writer, *large, reading(1, node="pi5"))
    assert 90 < len(outcome.kept) < 110
    assert set(reasons(outcome)) == {Reason.HISTORY_MB}
    assert outcome.kept[-1].node == "pi5"
    waiting = [one for one, _ in outcome.refused]
    assert store(writer, *waiting, now_ms=START + DAY).added == len(waiting)


def test_names_that_nothing_refers_to_are_forgotten(db: sqlite3.Connection) -> None:
    limits = LimitsConfig(streams=1)
    writer = Writer(db, limits)
    store(writer, reading(1, stream="old"))
    # Those of five minutes later move to the table of all.
    store(writer, *(reading(n, stream="old") for n in range(2, 2200)), now_ms=START + 400_000)
    writer.forget_unused()
    assert reasons(store(writer, reading(1, stream="new"))) == [Reason.STREAMS]
    for table in ("reading", "newest", "span"):
        db.execute(f"DELETE FROM {table}")
    writer.forget_unused()
    assert db.execute("SELECT count(*) FROM stream").fetchone() == (0,)
    assert store(writer, reading(1, stream="new")).added == 1
    downsample(db, START + DAY)


def test_boots_are_bounded_and_the_oldest_forgotten(db: sqlite3.Connection) -> None:
    writer = Writer(db, LimitsConfig(boots=3))
    boots = [reading(n, boot_id=f"b{n}", monotonic_ms=1000) for n in range(10)]
    unset = [
        msgspec.structs.replace(one, seq=100 + one.seq, boot_id=f"u{one.seq}", clock="unset")
        for one in boots
    ]
    assert store(writer, *boots, *unset).added == 20
    # The offsets of later readings are larger, as are those of later boots.
    assert db.execute("SELECT boot_id FROM boot ORDER BY 1").fetchall() == [
        ("b7",),
        ("b8",),
        ("b9",),
    ]
    assert db.execute("SELECT count(*) FROM unset WHERE boot_id LIKE 'u%'").fetchone() == (3,)


def test_a_refused_reading_takes_no_place(db: sqlite3.Connection) -> None:
    writer = Writer(db, LimitsConfig(sensors=1, streams=2, field_sets=3, history_mb_per_day=1))
    store(writer, reading(1, sensor_id="known", stream="a"))
    # Sent again and again, since it is never answered.
    refused = [reading(1, sensor_id="more", stream="b") for _ in range(5)]
    assert reasons(store(writer, *refused)) == [Reason.SENSORS] * 5
    large = {f"f{i}": "x" * 250 for i in range(40)}
    full = [reading(n, sensor_id="known", stream="a", data=large) for n in range(2, 200)]
    assert reasons(store(writer, *full))[-1] == Reason.HISTORY_MB
    other = [reading(1, sensor_id="known", stream="b", data={**large, "g": 1}) for _ in range(5)]
    assert set(reasons(store(writer, *other))) == {Reason.HISTORY_MB}
    assert store(writer, other[0], now_ms=START + DAY).added == 1


def test_the_place_of_a_removed_sensor_is_free_at_once(db: sqlite3.Connection) -> None:
    writer = Writer(db, LimitsConfig(sensors=1))
    store(writer, reading(1, sensor_id="old"))
    hide_sensor(db, "pi4", "old")
    writer.forget_unused()
    assert store(writer, reading(2, sensor_id="new")).added == 1


def test_sensors_whose_clock_is_behind_keep_their_places(db: sqlite3.Connection) -> None:
    writer = Writer(db, LimitsConfig(sensors=1))
    now_ms = START + 100 * DAY
    store(writer, reading(1, sensor_id="old"), now_ms=now_ms)
    writer.forget_unused()
    assert reasons(store(writer, reading(2, sensor_id="new"), now_ms=now_ms)) == ["sensors"]
