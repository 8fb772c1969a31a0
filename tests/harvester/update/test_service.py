"""Service of updates: the version in use is recognized by the hub's wheel."""

from pathlib import Path

import msgspec
import pytest

from bus.install.update_record import UP_TO_DATE, UpdateRecord
from bus.install.wheel_list import WheelEntry, WheelList
from harvester.install.environment import LINK
from harvester.update import service, trust
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


def test_a_machine_that_is_up_to_date_gets_the_hubs_key_and_starts_its_services_anew(
    machine: SimulatedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class HubWheels:
        def __init__(self, *_: object) -> None: ...

        def list(self, _extras: list[str]) -> WheelList:
            return msgspec.structs.replace(FOUND, bundle_key="ab" * 32)

    login = b'username = "pi4"\ntoken = "t"\nurl = "mqtts://h:8883"\nca_certificate = "PEM"\n'
    for name, content in ((trust.CREDENTIALS, login), (trust.FILE, trust.content_of(login) or b"")):
        path = machine.system.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setattr(service, "HubWheels", HubWheels)
    Environments(machine.system).use(f"0.1.0-{DIGEST[:12]}")
    for restarts in (1, 1):
        record = service.look(machine.system, machine.runner(), UpdateRecord())
        assert (record.phase, machine.restarts) == (UP_TO_DATE, restarts)
    assert b"abab" in machine.system.path(trust.CREDENTIALS).read_bytes()
