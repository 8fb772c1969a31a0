"""A whole update on a simulated machine: kept, rolled back, and turned back where a part fails."""

from pathlib import Path

import msgspec
import pytest

from bus.install.update_record import KEPT, ROLLED_BACK, SavedDatabase, UnitBefore
from bus.install.vital_signs import VitalSigns
from harvester.update import databases
from tests.harvester.update.simulated_machine import NEW, OLD, UNIT, SimulatedMachine


def updated(machine: SimulatedMachine) -> SimulatedMachine:
    machine.make()
    machine.runner().run(machine.begin())
    return machine


def test_a_good_version_is_kept_and_does_the_next_update(tmp_path: Path) -> None:
    machine = updated(SimulatedMachine(tmp_path))
    assert (machine.record.phase, machine.in_use, machine.updater) == (KEPT, NEW, NEW)
    assert machine.record.previous == OLD
    assert machine.is_working
    assert not machine.database.with_name("outbox.db.before-update").exists()


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        ("", "failed", "failed"),
        (str(VitalSigns(stored=0, connected=1)), "active", "has stored no reading in 60 s"),
        (str(VitalSigns(stored=9, faults=1)), "active", "has 1 faults, before it had 0"),
        ("", "active", "not up after 900 s"),
    ],
)
def test_a_bad_version_is_rolled_back_with_its_databases(
    status: str, state: str, reason: str, tmp_path: Path
) -> None:
    machine = updated(SimulatedMachine(tmp_path, status=status, state=state))
    assert (machine.record.phase, machine.in_use, machine.updater) == (ROLLED_BACK, OLD, OLD)
    assert reason in machine.record.reason
    assert machine.version == 1
    assert machine.is_working


@pytest.mark.parametrize(
    ("statuses", "stores"),
    [
        ([VitalSigns(connected=1)] * 5, True),
        ([VitalSigns(connected=1)] * 100, False),
        ([VitalSigns(connected=1, loading=1)] * 100, True),
    ],
    ids=["started just now", "never", "loads plugins"],
)
def test_a_service_has_the_time_of_judgement_to_show_that_it_stores(
    statuses: list[VitalSigns], stores: bool, tmp_path: Path
) -> None:
    machine = SimulatedMachine(tmp_path)
    machine.make()
    machine.old_statuses = list(map(str, statuses))
    assert machine.runner().before([UNIT]) == {UNIT: UnitBefore(stores, 0)}


def test_services_start_again_where_a_copy_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(databases, "copy_database", full)
    machine = updated(SimulatedMachine(tmp_path))
    assert (machine.record.phase, machine.in_use, machine.restarts) == (ROLLED_BACK, OLD, 1)
    assert "No space left" in machine.record.reason


def test_an_outbox_that_the_stop_wrote_to_the_disk_is_rolled_back_too(tmp_path: Path) -> None:
    machine = SimulatedMachine(tmp_path, state="failed")
    machine.make()
    in_ram = [SavedDatabase(str(machine.database_in_ram), 1)]
    record = msgspec.structs.replace(machine.prepared(), databases=in_ram)
    machine.runner().run(machine.runner().save(record))
    assert (machine.record.phase, machine.in_use, machine.version) == (ROLLED_BACK, OLD, 1)
    assert machine.is_working
    assert not machine.database.with_name("outbox.db.before-update").exists()


def test_only_the_version_before_stays(tmp_path: Path) -> None:
    machine = SimulatedMachine(tmp_path)
    machine.make()
    (tmp_path / "opt/harvester/environments/0.0.9-older").mkdir()
    machine.runner().run(machine.begin())
    left = sorted(path.name for path in (tmp_path / "opt/harvester/environments").iterdir())
    assert left == [OLD, NEW]


def test_a_systemd_that_does_not_answer_at_once_is_asked_again(tmp_path: Path) -> None:
    machine = SimulatedMachine(tmp_path)
    machine.busy = 3
    updated(machine)
    assert (machine.record.phase, machine.in_use) == (KEPT, NEW)
