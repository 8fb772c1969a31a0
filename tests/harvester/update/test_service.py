"""Service of updates: the version in use is recognized by the hub's wheel."""

from pathlib import Path

import pytest

from bus.install.wheel_list import WheelEntry, WheelList
from harvester.install.environment import LINK
from harvester.update.environments import Environments
from harvester.update.service import is_in_use
from tests.harvester.update.simulated_machine import SimulatedMachine

DIGEST = "0123456789ab" + "c" * 52
FOUND = WheelList("0.1.0", [WheelEntry("harvester_edge-0.1.0-py3-none-any.whl", DIGEST, 1)])


@pytest.fixture
def machine(tmp_path: Path) -> SimulatedMachine:
    made = SimulatedMachine(tmp_path)
    made.make()
    return made


def installed_from(machine: SimulatedMachine, direct_url: str) -> None:
    """Put HARVESTER into the environment in use, with what pip notes of its source."""
    environment = Environments(machine.system).folder(machine.in_use)
    info = environment / "lib/python3.11/site-packages/harvester_edge-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: harvester-edge\nVersion: 0.1.0\n")
    (info / "direct_url.json").write_text(direct_url)


@pytest.mark.parametrize(
    "archive", [f'{{"hash": "sha256={DIGEST}"}}', f'{{"hashes": {{"sha256": "{DIGEST}"}}}}']
)
def test_a_join_from_the_hubs_wheel_is_up_to_date(machine: SimulatedMachine, archive: str) -> None:
    installed_from(machine, f'{{"url": "file:///x.whl", "archive_info": {archive}}}')
    assert is_in_use(Environments(machine.system), FOUND)


def test_an_update_from_the_hubs_wheel_is_up_to_date(machine: SimulatedMachine) -> None:
    environments = Environments(machine.system)
    environments.use(f"0.1.0-{DIGEST[:12]}")
    assert machine.system.path(LINK).readlink().name == "0.1.0-0123456789ab"
    assert is_in_use(environments, FOUND)


@pytest.mark.parametrize(
    "direct_url",
    [
        '{"url": "file:///x.whl", "archive_info": {"hash": "sha256=' + "d" * 64 + '"}}',
        '{"url": "file:///clone", "dir_info": {"editable": true}}',
        '{"url": ',
        "",
    ],
)
def test_another_source_of_the_same_version_is_not_up_to_date(
    machine: SimulatedMachine, direct_url: str
) -> None:
    installed_from(machine, direct_url)
    assert not is_in_use(Environments(machine.system), FOUND)


def test_an_environment_without_the_program_is_not_up_to_date(machine: SimulatedMachine) -> None:
    assert not is_in_use(Environments(machine.system), FOUND)
