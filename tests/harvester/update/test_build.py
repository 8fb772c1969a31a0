"""New environments: what interrupted updates left goes, and one update at a time makes one."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from bus.errors import UnavailableError
from harvester.install import distributions
from harvester.install.environment import ENVIRONMENTS, read_identity
from harvester.install.system import System
from harvester.update import build
from harvester.update.build import Wanted
from harvester.update.environments import Environments
from tests.harvester.update.simulated_machine import NEW, OLD, SimulatedMachine

WANTED = Wanted(requirement="harvester-edge", identity="0.3.0-other")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """A machine whose venv makes a folder and whose pip does nothing."""

    def run(words: Sequence[str]) -> str:
        if "venv" in words:
            (Path(words[-1]) / "lib/python3.11/site-packages").mkdir(parents=True)
        return ""

    monkeypatch.setattr(distributions, "of_program", list)
    monkeypatch.setattr(build, "base_python", lambda: Path("/usr/bin/python3"))
    monkeypatch.setattr(build, "check_room", lambda _system: None)
    machine = SimulatedMachine(tmp_path)
    machine.make()
    return System(root=tmp_path, run=run)


def names(system: System) -> list[str]:
    return sorted(path.name for path in system.path(ENVIRONMENTS).iterdir())


def test_a_new_environment_is_complete(system: System) -> None:
    assert read_identity(build.build(system, WANTED)) == WANTED.identity
    assert names(system) == [OLD, NEW, WANTED.identity]


def test_what_interrupted_updates_left_is_removed(system: System) -> None:
    half = system.path(f"{ENVIRONMENTS}/0.2.9-half/bin")
    half.mkdir(parents=True)
    build.build(system, WANTED)
    assert names(system) == [OLD, NEW, WANTED.identity]


def test_an_environment_in_use_stays_without_its_identity(system: System) -> None:
    system.path(f"{ENVIRONMENTS}/{OLD}/identity").unlink()
    build.build(system, WANTED)
    assert OLD in names(system)


def test_two_updates_at_the_same_time_are_refused(system: System) -> None:
    environments = Environments(system)
    with environments.locked(), pytest.raises(UnavailableError, match="another update"):
        build.build(system, WANTED)
    assert names(system) == [OLD, NEW]
    build.build(system, WANTED)
