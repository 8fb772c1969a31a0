"""Check of the nightly backups."""

from pathlib import Path

from bus.files import backup_record
from bus.files.backup_record import BackupRecord
from harvester.doctor.backups import backup_findings
from harvester.doctor.finding import Finding, State
from tests.harvester.doctor.fake_machine import FakePi

HOUR_MS = 3_600_000
NOW_MS = 1_795_000_200_000


def finding(folder: Path, record: BackupRecord) -> Finding:
    backup_record.save(folder, record)
    (found,) = backup_findings(folder, NOW_MS, FakePi(folder).machine())
    return found


def test_a_hub_without_nightly_backups_is_advised_to_make_them(tmp_path: Path) -> None:
    (found,) = backup_findings(tmp_path, NOW_MS, FakePi(tmp_path).machine())
    assert (found.state, found.found) == (State.ADVICE, "none yet, and no nightly ones")
    assert found.mend == "sudo systemctl enable --now harvester-backup.timer"


def test_the_first_night_after_the_timer_was_turned_on_is_waited_for(tmp_path: Path) -> None:
    pi = FakePi(tmp_path)
    pi.put("/etc/systemd/system/timers.target.wants/harvester-backup.timer", "")
    (found,) = backup_findings(tmp_path, NOW_MS, pi.machine())
    assert (found.state, found.found) == (State.OK, "the first nightly one is still to come")


def test_a_nightly_backup_is_named_with_its_size(tmp_path: Path) -> None:
    made = BackupRecord(NOW_MS, 2_500_000, "/b/hub.zip", NOW_MS - 99 * HOUR_MS, NOW_MS - HOUR_MS)
    found = finding(tmp_path, made)
    assert (found.state, found.found) == (State.OK, "/b/hub.zip, 2.5 MB")


def test_an_old_one_or_one_that_failed_is_missing(tmp_path: Path) -> None:
    old = BackupRecord(nightly_since_ms=1, nightly_ms=NOW_MS - 49 * HOUR_MS)
    assert finding(tmp_path, old).state is State.MISSING
    failed = BackupRecord(nightly_since_ms=NOW_MS, fault="disk full")
    found = finding(tmp_path, failed)
    assert (found.state, found.found) == (State.MISSING, "last nightly one: none yet: disk full")


def test_who_may_not_see_the_state_is_told_nothing(tmp_path: Path) -> None:
    assert list(backup_findings(tmp_path / "none", NOW_MS, FakePi(tmp_path).machine())) == []
