"""The outbox: what it keeps, where, for how long, and what it says when it cannot."""

import contextlib
import logging
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.clock import Moment
from bus.contract.messages import MAX_BACKLOG, Backlog, encode
from bus.errors import MisconfiguredError
from bus.outbox.outbox import Outbox, Sample
from tests.bus.outbox.parts import START_MS, Box
from tests.support import PROJECT, WAIT_S


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path)
    yield made
    made.box.close()


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow or change."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def values(box: Box) -> list[object]:
    return [reading.data["n"] for reading in box.everything()]


def test_readings_are_numbered_in_the_order_in_which_they_came(box: Box) -> None:
    box.add(1, 2)
    box.add(3)
    live = [box.box.take_live() for _ in range(4)]
    assert [reading.seq for reading in live if reading] == [0, 1, 2]
    assert live[3] is None
    assert live[0] is not None
    assert (live[0].plugin, live[0].boot_id, live[0].monotonic_ms) == ("plugin", "boot", 100_000)


def test_a_reading_stays_until_it_is_stored(box: Box) -> None:
    box.add(1, 2, 3)
    assert box.box.rows == 3
    box.box.stored(box.box.stream, [(0, 0), (2, 2)])
    assert values(box) == [2]
    box.box.stored("another", [(0, 5)])
    assert box.box.rows == 1


def test_an_old_reading_never_goes_out_on_its_own_topic(box: Box) -> None:
    box.add(1)
    box.clock.elapsed_s += 7
    box.add(2)
    live = box.box.take_live()
    assert live is not None
    assert live.data == {"n": 2}
    assert [r.data for r in box.box.backlog(None, box.settings.live_s)] == [{"n": 1}]


def test_with_the_hub_in_reach_nothing_is_written_to_disk(box: Box) -> None:
    for n in range(100):
        box.add(n)
        box.clock.elapsed_s += 2
        box.box.stored(box.box.stream, [(n, n)])
        box.box.tend()
    assert not box.disk.exists()


def test_once_one_waits_a_minute_all_move_to_disk_and_leave_when_stored(box: Box) -> None:
    box.add(1)
    box.clock.elapsed_s += 59
    box.box.tend()
    assert not box.disk.exists()
    box.clock.elapsed_s += 1
    box.add(2)
    box.box.tend()
    assert box.box._disk.rows == 2
    assert values(box) == [1, 2]
    box.box.stored(box.box.stream, [(0, 1)])
    box.box.forget_stored()
    assert box.box.rows == 0


def test_the_disk_is_written_to_once_a_minute_and_a_power_cut_costs_no_more(box: Box) -> None:
    on_disk = []
    for second in range(240):
        box.add(second)
        box.clock.elapsed_s += 1
        box.box.tend()
        on_disk.append(box.box._disk.rows)
    assert set(on_disk) == {0, 60, 120, 180, 240}
    assert all(second + 1 - rows <= 60 for second, rows in enumerate(on_disk))


def test_the_death_of_the_process_costs_nothing(box: Box) -> None:
    box.add(1, 2)
    before = box.box.stream
    box.kill()
    box.open()
    box.add(3)
    now = box.box.stream
    assert [(r.stream, r.seq) for r in box.everything()] == [(before, 0), (before, 1), (now, 0)]


def test_no_number_is_given_again_whatever_a_file_has_forgotten(box: Box) -> None:
    box.add(1)
    box.kill()
    forgetful = {path: path.read_bytes() for path in box.ram.parent.iterdir()}
    box.open()
    box.add(2)
    first = {(r.stream, r.seq): r.data["n"] for r in box.everything()}
    box.kill()
    for path, content in forgetful.items():
        path.write_bytes(content)
    box.open()
    box.add(3)
    second = {(r.stream, r.seq): r.data["n"] for r in box.everything()}
    assert {key: n for key, n in second.items() if key in first and first[key] != n} == {}


def test_a_long_backlog_of_several_runs_is_read_from_end_to_end(box: Box) -> None:
    for run in range(3):
        box.add(*range(run * 700, (run + 1) * 700))
        box.clock.elapsed_s += 40
        box.box.tend()
        box.kill()
        box.open()
    assert values(box) == list(range(2100))


def test_a_later_number_never_has_an_earlier_time(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, other = box.clock.now, threading.Thread(target=box.add, args=(2,))

    def overtaken() -> Moment:
        moment = now()
        monkeypatch.setattr(box.clock, "now", now)
        box.clock.elapsed_s += 5
        other.start()
        other.join(0.2)
        return moment

    sample = Sample("room", now().wall_ms, {"n": 1})
    monkeypatch.setattr(box.clock, "now", overtaken)
    box.box.add([sample])
    other.join()
    added_ms = [added for _, added in box.box._ram.page(None, 10, None)]
    assert added_ms == sorted(added_ms)


def test_what_neither_ram_nor_disk_takes_is_held_and_sent_all_the_same(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    box.add(1)
    with full_disk():
        box.add(2, 3)
        box.add(4)
        box.box.stored(box.box.stream, [(1, 1)])
        assert values(box) == [1, 3, 4]
        box.clock.elapsed_s += 70
        box.box.tend()
        assert box.box.rows == 3
    box.add(5)
    box.kill()
    box.open()
    assert values(box) == [1, 3, 4, 5]
    assert (
        sum("meanwhile readings are kept in this process only" in line for line in caplog.messages)
        == 1
    )
    assert sum("run/outbox.db: works again after" in line for line in caplog.messages) == 1


def test_a_full_disk_at_the_start_keeps_readings_in_the_process_until_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with full_disk():
        box = Box(tmp_path)
        box.add(1)
        box.add(2)
        assert box.box.rows == 2
        assert values(box) == [1, 2]
    box.add(3)
    box.kill()
    box.open()
    assert values(box) == [1, 2, 3]
    begun = [line for line in caplog.messages if "are kept in this process only" in line]
    assert len(begun) == 1
    assert any("run/outbox.db: works again after" in line for line in caplog.messages)
    box.box.close()


def test_an_orderly_stop_brings_to_disk_what_ram_did_not_take(box: Box) -> None:
    box.add(1)
    box.box._ram.file._db.execute("DROP TABLE reading")
    box.add(2)
    box.box.close()
    shutil.rmtree(box.ram.parent)
    box.open()
    assert values(box) == [2]


@pytest.mark.parametrize("spoiled", [b"\xff\x00", b"[1]"])
def test_a_reading_whose_values_are_spoiled_is_given_up_and_holds_up_no_other(
    box: Box, caplog: pytest.LogCaptureFixture, spoiled: bytes
) -> None:
    box.add(1, 2, 3)
    box.box._ram.file._db.execute("UPDATE reading SET data = ? WHERE seq = 1", (spoiled,))
    assert values(box) == [1, 3]
    assert (box.box.rows, box.box.dropped) == (2, 1)
    assert "1 readings are damaged and given up" in caplog.text


def test_after_a_power_cut_the_disk_has_the_rest_and_a_new_stream_begins(box: Box) -> None:
    box.add(1)
    box.clock.elapsed_s += 61
    box.box.tend()
    box.add(2)
    before = box.box.stream
    box.kill()
    for file in box.ram.parent.iterdir():
        file.unlink()
    box.clock.boot_id = "another"
    box.open()
    box.add(3)
    assert values(box) == [1, 3]
    assert box.box.stream != before
    assert [r.boot_id for r in box.everything()] == ["boot", "another"]


def test_a_folder_that_outlived_the_boot_is_no_tmpfs_and_begins_a_new_stream(box: Box) -> None:
    box.add(1)
    box.kill()
    box.clock.boot_id = "another"
    box.open()
    box.add(2)
    assert [(r.boot_id, r.data["n"]) for r in box.everything()] == [("boot", 1), ("another", 2)]


def test_an_orderly_stop_moves_everything_to_disk(box: Box) -> None:
    box.add(1, 2)
    box.box.close()
    assert sqlite3.connect(box.disk).execute("SELECT count(*) FROM reading").fetchone() == (2,)
    box.open()
    assert values(box) == [1, 2]


def test_a_full_disk_tier_gives_up_its_oldest_and_counts_them_for_ever(tmp_path: Path) -> None:
    box = Box(tmp_path, max_rows=100)
    for n in range(150):
        box.add(n)
    box.clock.elapsed_s += 61
    box.box.tend()
    assert (values(box)[0], box.box.rows, box.box.dropped) == (50, 100, 50)
    box.box.close()
    box.open()
    assert box.box.dropped == 50
    box.box.close()


def test_the_tier_in_ram_is_bounded_by_itself(tmp_path: Path) -> None:
    box = Box(tmp_path, ram_mb=1)
    for n in range(400):
        box.box.add([Sample("room", START_MS, {"n": n, "text": "x" * 5000})])
    assert box.box._ram.file.used_bytes <= 1_050_000
    assert box.box.dropped > 0
    assert box.box.rows + box.box.dropped == 400
    box.box.close()


def test_a_batch_fits_into_a_message(box: Box) -> None:
    box.box.add([Sample("room", START_MS, {"n": n}) for n in range(MAX_BACKLOG + 10)])
    box.clock.elapsed_s += 10
    assert len(box.box.backlog(None, box.settings.live_s)) == MAX_BACKLOG
    box.box.add([Sample("room", START_MS, {"text": "x" * 10_000}) for _ in range(100)])
    box.clock.elapsed_s += 10
    last = (box.box.stream, MAX_BACKLOG + 9)
    batch = box.box.backlog(last, box.settings.live_s)
    assert 10 < len(batch) < 100
    assert len(encode(Backlog(batch))) < 200_000


@pytest.mark.parametrize("tier", ["ram", "disk"])
def test_a_damaged_file_is_set_aside_with_a_clear_line(
    box: Box, tier: str, caplog: pytest.LogCaptureFixture
) -> None:
    box.add(1)
    box.box.close()
    file = {"ram": box.ram, "disk": box.disk}[tier]
    file.write_bytes(b"garbage" * 1000)
    box.open()
    box.add(2)
    assert 2 in values(box)
    assert file.with_name("outbox.db.damaged").exists()
    assert f"{file} is damaged" in caplog.text


def test_a_file_damaged_while_it_is_used_is_replaced(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    box.add(*range(3000))
    box.kill()
    with box.ram.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(40_000))
    box.open()
    box.add(1)
    box.box.stored(box.box.stream, [(0, 10_000)])
    assert "is damaged" in caplog.text
    box.add(2)
    assert values(box)[-1] == 2


def test_a_disk_that_takes_nothing_is_said_once_and_the_ram_keeps_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    box = Box(tmp_path)
    box.disk.parent.write_text("no folder")
    for n in range(3):
        box.add(n)
        box.clock.elapsed_s += 61
        box.box.tend()
    assert values(box) == [0, 1, 2]
    assert caplog.text.count("meanwhile readings are kept in RAM only") == 1
    box.disk.parent.unlink()
    box.clock.elapsed_s += 61
    with caplog.at_level(logging.WARNING):
        box.box.tend()
    assert "works again" in caplog.text
    assert box.box._disk.rows == 3
    box.box.close()


def test_two_programs_cannot_use_one_outbox(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.files.database._BUSY_S", 0.1)
    with pytest.raises(MisconfiguredError, match="another program uses it"):
        Outbox("pi4", box.settings, box.ram, box.disk, box.clock)


def test_readings_from_before_the_clock_was_set_are_dated_again(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    box.clock.is_set = False
    box.clock.offset_ms = START_MS - 30 * 86_400_000
    box.add(1)
    box.clock.elapsed_s += 61
    box.box.tend()
    box.add(2)
    box.clock.elapsed_s += 10
    box.clock.is_set, box.clock.offset_ms = True, START_MS
    box.add(3)
    box.box.tend()
    found = box.everything()
    assert [r.timestamp_ms - START_MS for r in found] == [100_000, 161_000, 171_000]
    assert [r.clock for r in found] == ["redated", "redated", "set"]
    assert "it jumped by +2592000.0 s" in caplog.text
    assert "2 readings from before the clock was set are dated again" in caplog.text


def test_a_clock_that_is_set_without_a_jump_was_right(box: Box) -> None:
    box.clock.is_set = False
    box.add(1)
    box.clock.is_set = True
    box.clock.offset_ms += 300
    box.add(2)
    box.box.tend()
    assert [(r.clock, r.timestamp_ms) for r in box.everything()] == [
        ("set", START_MS + 100_000),
        ("set", START_MS + 100_300),
    ]


def test_a_clock_that_jumps_once_it_was_set_moves_nothing(box: Box) -> None:
    box.add(1)
    box.clock.offset_ms += 3_600_000
    box.add(2)
    box.box.tend()
    assert [r.timestamp_ms - START_MS for r in box.everything()] == [100_000, 3_700_000]


def test_a_time_that_is_not_the_machines_stays(box: Box) -> None:
    box.clock.is_set = False
    box.box.add([Sample("gps", START_MS + 12_345_000, {"n": 1})])
    (reading,) = box.everything()
    assert (reading.boot_id, reading.monotonic_ms, reading.clock) == ("", 0, "set")


WRITER = """
import sys
from pathlib import Path
from tests.bus.outbox.parts import Box
box = Box(Path(sys.argv[1]))
n = 0
while True:
    box.add(n)
    print(n, flush=True)
    n += 1
"""


def test_a_writer_that_is_killed_loses_nothing_that_it_was_told_is_kept(tmp_path: Path) -> None:
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if int(line) > 100:
                    child.send_signal(signal.SIGKILL)
                    break
            rest = child.stdout.read().splitlines()
            child.wait(WAIT_S)
        said = int(rest[-1]) if rest and rest[-1].isdigit() else 101
        box = Box(tmp_path)
        found = box.everything()
        assert [reading.data["n"] for reading in found][: said + 1] == list(range(said + 1))
        assert len({(reading.stream, reading.seq) for reading in found}) == len(found)
        for stream in {reading.stream for reading in found}:
            box.box.stored(stream, [(0, 10_000_000)])
        box.kill()


def test_damage_that_only_reading_finds_is_noticed(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    box.add(*range(3000))
    box.box._ram.file._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    box.kill()
    with box.ram.open("r+b") as file:
        file.seek(40_960)
        file.write(b"\xff" * 81_920)
    box.open()
    assert len(box.everything()) <= 3000
    box.add(7)
    assert values(box)[-1] == 7
    assert "is damaged" in caplog.text


def test_what_the_hub_refuses_for_good_is_dropped_and_counted(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    box.add(*range(5))
    box.box.refused(box.box.stream, [(1, 2), (9, 2**53)])
    box.box.refused("other", [(0, 9)])
    assert [reading.seq for reading in box.everything()] == [0, 3, 4]
    assert (box.box.rows, box.box.dropped) == (3, 2)
    assert "refused 2 readings" in caplog.text
    box.box.close()
    box.open()
    stream = box.everything()[0].stream
    box.box.refused(stream, [(0, 0)])
    assert (box.box.rows, box.box.dropped) == (2, 3)
