"""Backup and restore of a hub that does not run, as a person types the commands."""

import contextlib
import os
import shutil
import signal
import sqlite3
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from broker.auth import accounts, bundle_key
from bus.config import config_file, hub_files
from bus.files import backup_record
from bus.files.database import lock
from harvester.backup import archive, nightly
from harvester.backup.manifest import NAME, Manifest
from hub_app.history.events import RESTORED
from hub_app.nodes.delivery.delivery_files import DeliveryFiles
from hub_app.nodes.delivery.rollout import Rollout, Target
from hub_app.nodes.join.wheels import FOLDER, MADE_FOLDER
from tests.harvester.backup.small_hub import NOTIFY, SmallHub


@pytest.fixture
def hub(tmp_path: Path) -> SmallHub:
    made = SmallHub(tmp_path / "old")
    made.fill()
    return made


def refusal(capsys: pytest.CaptureFixture[str], code: int, run: Callable[[], None]) -> str:
    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == code
    return capsys.readouterr().err


def manifest_of(file: Path) -> Manifest:
    with zipfile.ZipFile(file) as found:
        return msgspec.json.decode(found.read(NAME), type=Manifest)


def test_a_backup_is_one_file_for_its_owner_alone(hub: SmallHub, tmp_path: Path) -> None:
    file = tmp_path / "hub.zip"
    hub.run("backup", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    names = {part.name for part in manifest_of(file).parts}
    assert names == {
        "config/hub.toml",
        "files/notify.addresses_file",
        "tls/ca.key",
        "state/accounts.json",
        "state/plugins/bme680.json",
        "state/history.db",
        "state/logs.db",
        "state/broker/broker.sqlite3",
    }
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    record = backup_record.load(hub.state)
    assert (record.last_bytes, record.file) == (file.stat().st_size, str(file))
    assert record.nightly_age_ms(record.last_ms) is None


def test_a_new_machine_becomes_the_hub_of_the_backup(hub: SmallHub, tmp_path: Path) -> None:
    file, new = tmp_path / "hub.zip", SmallHub(tmp_path / "new")
    hub.run("backup", str(file))
    new.run("restore", str(file))
    expected = {name: each for name, each in hub.snapshot().items() if name != "backups.json"}
    assert new.snapshot() == expected
    assert new.readings() == 50
    assert new.notify.read_text() == NOTIFY
    assert stat.S_IMODE((new.state / "tls").stat().st_mode) == 0o700
    assert accounts.load(new.state / "accounts.json").nodes.keys() == {"pi4"}


def test_the_key_of_bundles_and_what_was_delivered_come_with_a_backup(
    hub: SmallHub, tmp_path: Path
) -> None:
    key, files = bundle_key.ensure(hub.state), DeliveryFiles(hub.state)
    digest = files.keep_bundle(b"a bundle")
    files.start(Rollout(plugin="room", target=Target(digest), is_all=True))
    file, new = tmp_path / "hub.zip", SmallHub(tmp_path / "new")
    hub.run("backup", str(file))
    new.run("restore", str(file))
    assert bundle_key.ensure(new.state) == key
    assert stat.S_IMODE((new.state / "bundle-key.pem").stat().st_mode) == 0o600
    found = DeliveryFiles(new.state)
    assert found.load() == files.load()
    assert found.bundle(digest) == b"a bundle"


def test_what_was_there_is_put_aside_and_readings_on_their_way_stay(
    hub: SmallHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "hub.zip"
    hub.run("backup", str(file))
    hub.store(30, "later")
    hub.config.write_text(hub.config.read_text() + "# changed\n")
    hub.run("restore", str(file))
    (aside,) = hub.state.glob("before-restore-*")
    (old_config,) = hub.folder.glob("hub.toml.before-restore-*")
    said = capsys.readouterr().out
    assert str(aside) in said
    assert str(old_config) in said
    assert old_config.read_text().endswith("# changed\n")
    assert not hub.config.read_text().endswith("# changed\n")
    assert hub.readings() == 50
    before = sqlite3.connect(aside / "history.db")
    with contextlib.closing(before):
        assert before.execute("SELECT count(*) FROM every_reading").fetchone() == (80,)
    assert (hub.state / "outbox.db").read_bytes() == b"on its way"
    hub.run("restore", str(file))
    assert len(list(hub.state.glob("before-restore-*"))) == 2


def test_the_history_tells_from_when_to_when_readings_were_lost(
    hub: SmallHub, tmp_path: Path
) -> None:
    file = tmp_path / "hub.zip"
    hub.run("backup", str(file))
    hub.run("restore", str(file))
    db = sqlite3.connect(hub.state / "history.db")
    with contextlib.closing(db):
        ((kind, detail),) = db.execute("SELECT kind, detail FROM event").fetchall()
    assert (kind, int(detail)) == (RESTORED, manifest_of(file).made_ms)


def test_the_history_of_each_worker_tells_so_too(hub: SmallHub, tmp_path: Path) -> None:
    file, worker = tmp_path / "hub.zip", hub.state / "worker-2"
    worker.mkdir()
    shutil.copyfile(hub.state / "history.db", worker / "history.db")
    hub.run("backup", str(file))
    hub.run("restore", str(file))
    with contextlib.closing(sqlite3.connect(worker / "history.db")) as db:
        ((kind, detail),) = db.execute("SELECT kind, detail FROM event").fetchall()
    assert (kind, int(detail)) == (RESTORED, manifest_of(file).made_ms)


def test_a_command_that_waited_for_a_node_is_not_executed_again(
    hub: SmallHub, tmp_path: Path
) -> None:
    file = tmp_path / "hub.zip"
    hub.run("backup", str(file))
    hub.run("restore", str(file))
    db = sqlite3.connect(hub.state / "broker" / "broker.sqlite3")
    with contextlib.closing(db):
        assert db.execute("SELECT count(*) FROM messages").fetchone() == (0,)
        assert db.execute("SELECT topic FROM retained").fetchall() == [("a/b",)]
        assert db.execute("SELECT client_id FROM sessions").fetchall() == [("pi4",)]


def test_a_hub_that_runs_is_not_replaced(
    hub: SmallHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "hub.zip"
    hub.run("backup", str(file))
    before = hub.snapshot()
    files = hub_files.of(config_file.load(hub.config), {})
    with lock(files.hub):
        assert "the hub runs" in refusal(capsys, 2, lambda: hub.run("restore", str(file)))
    assert hub.snapshot() == before
    assert list(hub.state.glob("before-restore-*")) == []


def test_the_configuration_that_is_here_can_be_kept(hub: SmallHub, tmp_path: Path) -> None:
    file, new = tmp_path / "hub.zip", SmallHub(tmp_path / "new")
    hub.run("backup", str(file))
    new.folder.mkdir()
    text = '[cluster]\nnode_id = "revpi"\nrole = "hub"\n[storage]\nstate_dir = "elsewhere"\n'
    new.config.write_text(text)
    new.run("restore", str(file), "--keep-config")
    assert new.config.read_text() == text
    new.state = new.folder / "elsewhere"
    assert new.readings() == 50
    assert not new.notify.exists()


def test_wheels_that_the_hub_made_of_itself_are_left_out(hub: SmallHub, tmp_path: Path) -> None:
    for folder in (MADE_FOLDER, FOLDER):
        (hub.state / folder).mkdir()
        (hub.state / folder / "some.whl").write_bytes(b"wheel")
    file = tmp_path / "hub.zip"
    hub.run("backup", str(file))
    names = {part.name for part in manifest_of(file).parts}
    assert f"state/{FOLDER}/some.whl" in names
    assert not [name for name in names if MADE_FOLDER in name]


def test_links_are_named_and_left_out(
    hub: SmallHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (hub.state / "link").symlink_to(hub.config)
    hub.run("backup", str(tmp_path / "hub.zip"))
    assert str(hub.state / "link") in capsys.readouterr().err
    assert "state/link" not in {part.name for part in manifest_of(tmp_path / "hub.zip").parts}


Run = Callable[[], None]


def killed_at(moment: int, patch: Callable[[Run], None], run: Run) -> bool:
    """Run in a process that is killed at the given call of what `patch` counts; return whether."""
    child = os.fork()
    if not child:
        calls = iter(range(moment))

        def count() -> None:
            if next(calls, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        with contextlib.suppress(BaseException):
            patch(count)
            run()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_restore_that_is_killed_leaves_the_old_hub_or_the_new_one(
    hub: SmallHub, tmp_path: Path
) -> None:
    file = tmp_path / "hub.zip"
    hub.run("backup", str(file))
    new = hub.snapshot()
    (hub.state / "plugins" / "bme680.json").write_text('{"baseline":"13"}')
    hub.config.write_text(hub.config.read_text() + "# changed\n")
    hub.store(30, "later")
    old = hub.snapshot()
    rename = Path.rename

    def patch(count: Callable[[], None]) -> None:
        def counted(path: Path, to: str) -> Path:
            count()
            return rename(path, to)

        Path.rename = counted  # type: ignore[assignment,method-assign] # in a process of its own

    outcomes = []
    moment = 0
    while killed_at(moment, patch, lambda: hub.run("restore", str(file))):
        # What a start of the hub does first.
        hub.run("restore")
        found = hub.snapshot()
        assert found in (old, new)
        assert hub.readings() == (50 if found == new else 80)
        outcomes.append(found == new)
        make_old(hub, old)
        moment += 1
    assert outcomes.count(True) > 5


def make_old(hub: SmallHub, old: dict[str, tuple[int, bytes]]) -> None:
    """Bring the hub back to where it was before the restore."""
    hub.config.write_bytes(old["hub.toml"][1])
    (hub.state / "plugins" / "bme680.json").write_bytes(old["plugins/bme680.json"][1])
    if hub.readings() == 50:
        hub.store(30, "later")


def test_a_restore_that_is_killed_while_it_unpacks_changes_nothing(
    hub: SmallHub, tmp_path: Path
) -> None:
    file = tmp_path / "hub.zip"
    hub.run("backup", str(file))
    before = hub.snapshot()
    fsync = os.fsync

    def patch(count: Callable[[], None]) -> None:
        def counted(descriptor: int) -> None:
            count()
            fsync(descriptor)

        os.fsync = counted

    for moment in (0, 5, 12):
        assert killed_at(moment, patch, lambda: hub.run("restore", str(file)))
        assert hub.snapshot() == before
        assert list(hub.state.glob("before-restore-*")) == []
    hub.run("restore", str(file))
    assert not (hub.state / ".restore").exists()
    assert hub.snapshot() == before


def test_a_backup_that_is_killed_leaves_the_former_one(hub: SmallHub, tmp_path: Path) -> None:
    file = tmp_path / "hub.zip"
    hub.run("backup", str(file))
    before = file.read_bytes()
    copy = archive.copy_database

    def patch(count: Callable[[], None]) -> None:
        def counted(*arguments: object) -> int:
            version = copy(*arguments)  # type: ignore[arg-type]
            count()
            return version

        archive.copy_database = counted  # type: ignore[attr-defined] # in a process of its own

    assert killed_at(1, patch, lambda: hub.run("backup", str(file)))
    assert file.read_bytes() == before
    assert (tmp_path / ".hub.zip.partial").is_dir()
    hub.run("backup", str(file))
    assert not (tmp_path / ".hub.zip.partial").exists()


def test_nightly_backups_are_kept_up_to_a_number(
    hub: SmallHub, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = hub.folder / "backups"
    folder.mkdir()
    for day in range(1, 9):
        (folder / f"harvester-revpi-202601{day:02}-030000.zip").touch()
    for other in ("harvester-revpi-mine.zip", "harvester-pi4-20260101-030000.zip"):
        (folder / other).touch()
    hub.run("backup", "--nightly", "--set", f"backup.directory={folder}", "--set", "backup.keep=3")
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 5
    assert {"harvester-revpi-mine.zip", "harvester-pi4-20260101-030000.zip"} <= {*names}
    assert {f"harvester-revpi-2026010{day}-030000.zip" for day in (7, 8)} <= {*names}
    record = backup_record.load(hub.state)
    assert record.nightly_ms == record.last_ms > 0
    assert record.nightly_age_ms(record.nightly_ms + 5) == 5
    assert "removed" in capsys.readouterr().out


def test_a_nightly_backup_with_a_wrong_clock_is_not_the_one_that_is_removed(tmp_path: Path) -> None:
    newest = tmp_path / "harvester-revpi-19700101-000000.zip"
    for name in (newest.name, "harvester-revpi-20260101-030000.zip"):
        (tmp_path / name).touch()
    nightly.prune(newest, "revpi", 1)
    assert [path.name for path in tmp_path.iterdir()] == [newest.name]


def test_a_nightly_backup_that_fails_is_noted_with_its_reason(
    hub: SmallHub, capsys: pytest.CaptureFixture[str]
) -> None:
    (hub.folder / "file").touch()
    folder = hub.folder / "file" / "backups"
    said = refusal(
        capsys, 1, lambda: hub.run("backup", "--nightly", "--set", f"backup.directory={folder}")
    )
    record = backup_record.load(hub.state)
    assert record.fault in said
    assert str(folder) in record.fault
    assert record.nightly_age_ms(record.nightly_since_ms + 7) == 7
