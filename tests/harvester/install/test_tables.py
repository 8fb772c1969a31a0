"""The tables of steps: what a dry run shows, and what the shipped files promise."""

import re
from pathlib import Path

import pytest

from harvester.install import tables
from harvester.install.environment import LINK, UPDATER_LINK
from harvester.install.found import Found
from harvester.install.step import Step, uninstall
from harvester.install.system import System
from harvester.install.tables import NodeOptions
from harvester.update import trust
from node_agent.hal.real.model import Model

DEPLOY = Path(__file__).parents[3] / "deploy"
LOGIN = NodeOptions(credentials=b"username = 'shed'\ntoken = 't'\n")
FOUND = Found(host="shed")


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(root=tmp_path, run=lambda _: "")


def described(steps: list[Step]) -> str:
    return "\n".join(step.describe() for step in steps)


def test_a_hub_gets_its_services_after_all_that_they_need(system: System) -> None:
    steps = tables.hub(system, FOUND, "shed")
    said = described(steps).splitlines()
    assert said[0].startswith("environment /opt/harvester/.venv")
    services = "harvester-hub.service, harvester-agent@hub.service, harvester-backup.timer"
    assert said[-1].endswith(services)
    assert [step for step in steps if step.follows_changes] == steps[-1:]
    at = {text.split()[0]: index for index, text in enumerate(said)}
    assert at["user"] < at["configuration"] < at["certificate"] < at["unit"]


def test_a_node_gets_the_login_that_is_given(system: System) -> None:
    text = described(tables.node(system, FOUND, "shed", LOGIN))
    assert "login /etc/harvester/credentials.toml" in text
    assert "harvester-agent@spoke.service" in text
    assert "hub of updates" not in text
    assert "login" not in described(tables.node(system, FOUND, "shed", NodeOptions()))


def test_removal_knows_every_file_of_every_table(system: System) -> None:
    tables_of_all = (
        tables.hub(system, FOUND, "shed"),
        tables.node(system, FOUND, "shed", LOGIN),
        tables.pizero(system, FOUND, "shed", LOGIN),
    )
    gone = described(tables.everything(system, FOUND))
    paths = {path for steps in tables_of_all for path in re.findall(r"/\S+", described(steps))}
    data = ("/etc/harvester", "/var/lib/harvester-")
    assert {p for p in paths if not p.startswith(data)} <= {*re.findall(r"/[^\s,]+,?", gone)}


def test_removal_keeps_what_people_and_nodes_made(system: System) -> None:
    steps = tables.everything(system, FOUND)
    kept = {
        outcome.text
        for outcome in uninstall(steps, purge=False, dry_run=True)
        if outcome.word == "kept"
    }
    assert "configuration and credentials: /etc/harvester" in kept
    assert "accounts, certificates, history and state: /var/lib/harvester-*" in kept


def test_the_user_joins_the_groups_that_the_units_name() -> None:
    text = (DEPLOY / "harvester.sysusers.conf").read_text()
    made = re.findall(r"^g (\S+)", text, re.MULTILINE)
    joined = re.findall(r"^m harvester (\S+)", text, re.MULTILINE)
    units = (DEPLOY / "harvester-agent@.service").read_text()
    assert made == joined == re.findall(r"SupplementaryGroups=(.*)", units)[0].split()


def test_a_revpi_adds_the_group_of_its_process_image(system: System) -> None:
    revpi = Found(host="shed", model=Model(name="RevPi", is_revpi=True))
    assert "picontrol" in described(tables.hub(system, revpi, "shed"))
    assert "picontrol" not in described(tables.hub(system, FOUND, "shed"))


def test_units_start_the_program_from_the_environment_that_is_made() -> None:
    for unit in DEPLOY.glob("*.service"):
        links = {UPDATER_LINK} if unit.name == tables.UPDATE_UNIT else {LINK}
        assert set(re.findall(r"^Exec\w+=(\S+)/bin/", unit.read_text(), re.MULTILINE)) <= links


def test_a_login_with_a_ca_names_the_hub_of_updates(system: System) -> None:
    hub = b"url = 'mqtts://192.168.7.10:8883'\nca_certificate = 'PEM'\n"
    login = b"username = 'shed'\ntoken = 't'\n" + hub
    steps = tables.pizero(system, FOUND, "shed", NodeOptions(credentials=login))
    assert "hub of updates /etc/harvester/update.toml" in described(steps)
    (content,) = [s.content for s in steps if getattr(s, "path", "") == trust.FILE]  # type: ignore[attr-defined]
    assert b'host = "192.168.7.10"' in content
    assert b"token" not in content
