"""Steps that write files: configuration is kept, units are brought up to date."""

import stat
from pathlib import Path

import pytest

from bus.errors import MisconfiguredError
from harvester.install.file_steps import Folder, Link, Remains, WrittenFile
from harvester.install.system import System


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(root=tmp_path)


def test_a_file_is_written_once_and_again_after_a_change(system: System) -> None:
    step = WrittenFile(system=system, path="/etc/x.service", content=b"new", what="unit")
    assert not step.is_done()
    step.apply()
    assert step.is_done()
    system.path("/etc/x.service").write_bytes(b"old")
    assert not step.is_done()
    assert step.undo()
    assert not step.undo()


def test_a_configuration_that_exists_is_left_as_it_is(system: System) -> None:
    step = WrittenFile(
        system=system, path="/etc/hub.toml", content=b"new", what="configuration", is_kept=True
    )
    system.path("/etc").mkdir()
    system.path("/etc/hub.toml").write_bytes(b"a person's")
    assert step.is_done()


def test_a_login_is_for_its_owner_alone(system: System) -> None:
    step = WrittenFile(system=system, path="/etc/c.toml", content=b"x", what="login", mode=0o600)
    step.apply()
    assert stat.S_IMODE(system.path("/etc/c.toml").stat().st_mode) == 0o600


def test_a_folder_has_its_mode(system: System) -> None:
    step = Folder(system=system, path="/var/lib/x", mode=0o700)
    step.apply()
    assert step.is_done()
    assert stat.S_IMODE(system.path("/var/lib/x").stat().st_mode) == 0o700
    assert step.undo()
    assert not system.path("/var/lib/x").exists()


def test_a_command_of_somebody_else_is_not_replaced(system: System) -> None:
    step = Link(system=system, path="/bin/harvester", target="/opt/harvester")
    step.apply()
    assert step.is_done()
    assert step.undo()
    system.path("/bin/harvester").write_text("mine")
    with pytest.raises(MisconfiguredError, match="found a file"):
        step.apply()
    assert not step.undo()


def test_what_services_made_goes_by_its_pattern(system: System) -> None:
    for name in ("harvester-hub", "harvester-agent", "other"):
        system.path(f"/var/lib/{name}").mkdir(parents=True)
    system.path("/var/lib/harvester-stamp").touch()
    step = Remains(system=system, what="state", patterns=("var/lib/harvester-*",))
    assert step.undo()
    assert [path.name for path in system.path("/var/lib").iterdir()] == ["other"]
    assert not step.undo()
