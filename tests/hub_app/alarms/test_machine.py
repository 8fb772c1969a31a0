"""Measurement of the hub's machine."""

import datetime as dt
import subprocess
from pathlib import Path

import pytest

from bus.files import backup_record
from bus.files.backup_record import BackupRecord
from hub_app.alarms.machine import measure

NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
NOW_MS = round(NOW.timestamp() * 1000)
HOUR_MS = 3_600_000


def hours(folder: Path, record: BackupRecord) -> float | None:
    backup_record.save(folder, record)
    facts = measure(folder, folder / "tls", NOW)
    assert facts.backup == record
    return facts.backup_hours


def test_a_backup_grows_old_where_nightly_ones_are_made(tmp_path: Path) -> None:
    assert measure(tmp_path, tmp_path / "tls", NOW).backup_hours is None
    by_hand = BackupRecord(last_ms=NOW_MS - 90 * HOUR_MS)
    assert hours(tmp_path, by_hand) is None
    # Of a timer that never succeeded, the first attempt counts.
    never = BackupRecord(nightly_since_ms=NOW_MS - 3 * HOUR_MS)
    assert hours(tmp_path, never) == 3
    made = BackupRecord(nightly_since_ms=NOW_MS - 90 * HOUR_MS, nightly_ms=NOW_MS - 2 * HOUR_MS)
    assert hours(tmp_path, made) == 2


def test_a_damaged_record_is_none(tmp_path: Path) -> None:
    backup_record.save(tmp_path, BackupRecord(last_ms=1))
    (tmp_path / backup_record.RECORD_NAME).write_bytes(b"{")
    assert measure(tmp_path, tmp_path / "tls", NOW).backup == BackupRecord()


def test_the_disk_is_as_full_as_df_says(tmp_path: Path) -> None:
    found = measure(tmp_path, tmp_path / "tls", NOW).disk_percent
    df = ["df", "--output=pcent", str(tmp_path)]
    said = subprocess.run(df, capture_output=True, text=True, check=True, timeout=10).stdout
    # It rounds up, and other programs write meanwhile.
    assert found == pytest.approx(int(said.split()[-1].rstrip("%")) - 0.5, abs=1.5)
