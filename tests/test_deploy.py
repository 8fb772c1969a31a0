"""Tests of the systemd units: they start programs that exist, with valid options."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from bus.config import hub_files
from bus.install.update_request import REQUEST_PATTERN
from harvester.install.environment import UPDATER_LINK

ROOT = Path(__file__).parents[1]
UNITS = sorted((ROOT / "deploy").glob("*.service"))
UPDATE = ROOT / "deploy" / "harvester-update.service"
# Those that run all the time.
DAEMONS = [unit for unit in UNITS if unit.name not in ("harvester-backup.service", UPDATE.name)]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def service_of(unit: Path) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return parser["Service"]


COMMANDS = [
    (unit, key)
    for unit in UNITS
    if unit != UPDATE
    for key in ("ExecStart", "ExecStopPost")
    if key in service_of(unit)
]


@pytest.mark.parametrize(
    ("unit", "key"), COMMANDS, ids=[f"{unit.name} {key}" for unit, key in COMMANDS]
)
def test_a_unit_runs_a_program_of_ours_on_a_shipped_file(unit: Path, key: str) -> None:
    program, *arguments = shlex.split(service_of(unit)[key].replace("%i", "spoke"))
    module = SCRIPTS[Path(program).name].partition(":")[0]
    config = ROOT / "config" / Path(arguments[arguments.index("--config") + 1]).name
    arguments[arguments.index("--config") + 1] = str(config)
    subprocess.run([sys.executable, "-m", module, *arguments, "--check"], cwd=ROOT, check=True)


def test_the_backup_of_every_night_is_made_by_a_unit_that_may_write_its_folder() -> None:
    unit = ROOT / "deploy" / "harvester-backup.service"
    service = service_of(unit)
    assert service["Type"] == "oneshot"
    assert service["StateDirectory"] == hub_files.BACKUP_SERVICE_DIRECTORY.name
    assert str(hub_files.SERVICE_DIRECTORY) in service["ReadWritePaths"]
    assert re.fullmatch(r"[1-9][0-9]*M", service["MemoryMax"])
    timer = unit.with_suffix(".timer").read_text()
    assert "\nPersistent=true\n" in timer
    assert timer.endswith("[Install]\nWantedBy=timers.target\n")


def test_updates_are_done_by_an_environment_that_was_kept_and_go_on_after_a_failure() -> None:
    service = service_of(UPDATE)
    assert service["ExecStart"] == f"{UPDATER_LINK}/bin/harvester update --service"
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "2")
    assert "User" not in service
    assert UPDATE.read_text().endswith("[Install]\nWantedBy=multi-user.target\n")


def test_a_request_of_an_agent_starts_the_update() -> None:
    text = UPDATE.with_suffix(".path").read_text()
    watched = re.findall(r"^PathExists=/(\S+)$", text, re.MULTILINE)
    assert all(fnmatch(path, REQUEST_PATTERN) for path in watched)
    folders = {
        service_of(unit).get("RuntimeDirectory", "").replace("%i", "spoke") for unit in UNITS
    }
    assert {Path(path).parent.name for path in watched} == folders - {""}


def test_a_unit_that_may_have_actuators_releases_them() -> None:
    assert [unit.name for unit, key in COMMANDS if key == "ExecStopPost"] == [
        "harvester-agent@.service",
        "harvester-pizero.service",
    ]


def test_a_pi_zero_may_open_what_the_configuration_of_a_plugin_host_names() -> None:
    text = (ROOT / "deploy" / "harvester-pizero.service").read_text()
    groups = service_of(ROOT / "deploy" / "harvester-pizero.service")["SupplementaryGroups"]
    assert groups.split() == ["gpio", "i2c", "spi", "dialout"]
    allowed = set(re.findall(r"^DeviceAllow=(\S+) rw$", text, re.MULTILINE))
    assert {"char-i2c", "char-gpiochip", "char-spi", "char-ttyAMA", "char-ttyS"} <= allowed
    # The drop-in for raw memory may not narrow the devices of either unit.
    drop_in = (ROOT / "deploy" / "harvester-agent-pwm.conf").read_text()
    assert drop_in.endswith("DevicePolicy=auto\nDeviceAllow=\n")


@pytest.mark.parametrize("unit", DAEMONS, ids=lambda unit: unit.name)
def test_a_wrong_configuration_is_not_tried_again(unit: Path) -> None:
    service = service_of(unit)
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == "2"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_does_not_wait_at_boot_for_a_cable_that_is_out(unit: Path) -> None:
    assert "network-online" not in unit.read_text()
    assert "\nAfter=network.target" in unit.read_text()


@pytest.mark.parametrize("unit", DAEMONS, ids=lambda unit: unit.name)
def test_a_unit_has_a_watchdog_and_bounds(unit: Path) -> None:
    service = service_of(unit)
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert int(service["WatchdogSec"]) >= 30
    assert re.fullmatch(r"[1-9][0-9]*M", service["MemoryMax"])
    assert "SystemCallFilter=@system-service\n" in unit.read_text()
    assert service["SystemCallErrorNumber"] == "EPERM"
    assert service["NoNewPrivileges"] == "yes"
    # Lines of libraries and of the interpreter itself.
    assert service["SyslogLevel"] == "warning"


@pytest.mark.parametrize(
    "unit", [unit for unit in DAEMONS if "hub" not in unit.name], ids=lambda unit: unit.name
)
def test_a_node_may_ask_whether_its_clock_is_synchronised(unit: Path) -> None:
    assert "clock_adjtime adjtimex" in service_of(unit)["SystemCallFilter"]
    assert "ProtectClock" not in service_of(unit)


def test_no_unit_waits_for_another_or_for_a_network_that_is_up() -> None:
    for unit in UNITS:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.read(unit)
        assert parser["Unit"]["After"] == "network.target"
        assert "network-online" not in unit.read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_little_that_a_unit_exposes(unit: Path, tmp_path: Path) -> None:
    named = tmp_path / unit.name.replace("@", "@spoke")
    named.write_text(unit.read_text())
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", named],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_a_unit(unit: Path, tmp_path: Path) -> None:
    # The programs are not where the unit expects them: that is all systemd may find wrong.
    copy = tmp_path / unit.name
    text = unit.read_text().replace("/opt/harvester/.venv/bin/", "/usr/bin/env ")
    copy.write_text(text.replace(f"={UPDATER_LINK}/bin/", "=/usr/bin/env "))
    named = tmp_path / unit.name.replace("@", "@spoke")
    done = subprocess.run(
        ["systemd-analyze", "verify", named], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if "harvester" in line] == []
