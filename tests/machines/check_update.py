"""A hub and two nodes are updated: kept, rolled back, stopped by a canary, cut from power."""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.machines import other_wheel, product
from tests.machines.laboratory import Laboratory
from tests.machines.machine import Machine

AGENT = "harvester-agent@spoke"
_RECORD = "/var/lib/harvester-update/update.json"
_LINK = "/opt/harvester/.venv"
_UPDATE_S = 900.0
# Instead of a minute, so that the whole takes minutes.
_JUDGED_S = 10
_FAST = f"""[Service]
ExecStart=
ExecStart=/opt/harvester/.updater/bin/harvester update --service --judge-seconds {_JUDGED_S}
"""
CUTS = int(os.environ.get("HARVESTER_POWER_CUTS", "20"))


@pytest.fixture(scope="module")
def hub(lab: Laboratory) -> Iterator[Machine]:
    with lab.machine("revpi", product.HUB_ADDRESS) as machine:
        product.get_program(machine)
        product.install_hub(machine)
        judge_faster(machine)
        yield machine


@pytest.fixture(scope="module")
def pi4(lab: Laboratory, hub: Machine) -> Iterator[Machine]:
    with lab.machine("pi4", "192.168.7.11") as machine:
        yield node(hub, machine)


@pytest.fixture(scope="module")
def pi5(lab: Laboratory, hub: Machine) -> Iterator[Machine]:
    with lab.machine("pi5", "192.168.7.12") as machine:
        yield node(hub, machine)


def node(hub: Machine, machine: Machine) -> Machine:
    """Make a machine a node by the line of the hub."""
    code, text = product.join(machine, product.join_line(hub, machine.name))
    assert code == 0, text
    product.wait_until_online(hub, machine.name)
    judge_faster(machine)
    return machine


def judge_faster(machine: Machine) -> None:
    machine.write("/etc/systemd/system/harvester-update.service.d/fast.conf", _FAST)
    machine.run("systemctl daemon-reload")


def bring(machine: Machine, version: str, changes: other_wheel.Changes | None = None) -> str:
    """Put the wheel of a version onto a machine; return its path there."""
    folder = Path(machine.path("/root"))
    return f"/root/{other_wheel.make(version, folder, changes).name}"


def update(machine: Machine, wheel: str) -> tuple[int, str]:
    return machine.attempt(f"harvester update {wheel} 2>&1", _UPDATE_S)


def record(machine: Machine) -> dict[str, Any]:
    path = machine.path(_RECORD)
    return dict(json.loads(path.read_text())) if path.exists() else {"phase": ""}


def version_told(hub: Machine, name: str) -> str:
    nodes = json.loads(hub.run(f"curl -sf {product.PAGE}/api/nodes"))["nodes"]
    return next(str(each["status"]["version"]) for each in nodes if each["node"] == name)


def update_hub(hub: Machine, wheel: str) -> str:
    """Let the hub have a version without judging it, as one that only nodes show to be bad."""
    code, text = update(hub, wheel)
    assert code == 0, text
    hub.wait_for(f"curl -sf {product.PAGE}/health", product.PATIENT_S)
    return text


def test_a_dry_run_of_an_update_changes_nothing(hub: Machine) -> None:
    wheel = bring(hub, "0.1.1")
    before = hub.run("ls -la /opt/harvester /opt/harvester/environments")
    text = hub.run(f"harvester update {wheel} --dry-run")
    assert "would judge" in text
    assert hub.run("ls -la /opt/harvester /opt/harvester/environments") == before


def test_a_good_version_is_kept_on_the_hub_and_then_on_both_nodes(
    hub: Machine, pi4: Machine, pi5: Machine
) -> None:
    text = update_hub(hub, "/root/harvester_edge-0.1.1-py3-none-any.whl")
    assert "kept     0.1.1" in text
    assert product.health(hub)["version"] == "0.1.1"
    for name in ("pi4", "pi5"):
        product.wait_until_online(hub, name)
    code, text = hub.attempt("harvester nodes update --canary pi4 2>&1", _UPDATE_S)
    assert code == 0, text
    assert text.index("pi4: done kept") < text.index("pi5: done kept")
    for machine in (pi4, pi5):
        product.wait_until_online(hub, machine.name)
        assert version_told(hub, machine.name) == "0.1.1"
        assert record(machine)["phase"] == "kept"


def test_what_root_trusts_belongs_to_root(pi4: Machine) -> None:
    found = pi4.run("stat -c '%U %a' /etc/harvester/update.toml /opt/harvester/environments")
    assert found.split() == ["root", "600", "root", "755"]
    # Another CA and another hub in the file of the service's user change nothing.
    pi4.run("cp -p /etc/harvester/credentials.toml /root/credentials.before")
    pi4.run("sed -i 's/192.168.7.10/192.168.7.99/' /etc/harvester/credentials.toml")
    assert "192.168.7.10" in pi4.run("cat /etc/harvester/update.toml")
    pi4.run("cp -p /root/credentials.before /etc/harvester/credentials.toml")


@pytest.mark.parametrize(
    ("number", "changes", "reason"),
    [
        ("0.1.2", other_wheel.CRASHING, "ended"),
        ("0.1.3", other_wheel.MUTE, "has stored no reading"),
    ],
    ids=["crashes", "stores nothing"],
)
def test_a_bad_version_is_rolled_back_by_itself(
    number: str, changes: other_wheel.Changes, reason: str, hub: Machine, pi4: Machine
) -> None:
    before = pi4.run(f"readlink {_LINK}")
    code, text = update(pi4, bring(pi4, number, changes))
    assert (code, f"{number} was rolled back" in text) == (1, True), text
    assert reason in record(pi4)["reason"]
    assert pi4.run(f"readlink {_LINK}") == before
    product.wait_until_online(hub, "pi4")
    assert version_told(hub, "pi4") == "0.1.1"
    assert "rolled back" in pi4.run("journalctl -q -o cat -u harvester-update")


def test_a_canary_that_did_not_keep_it_stops_the_round(
    hub: Machine, pi4: Machine, pi5: Machine
) -> None:
    # The hub serves what its folder of wheels has; its own agent is none of the nodes.
    hub.run("systemctl stop harvester-agent@hub && systemctl disable harvester-agent@hub")
    mute = bring(hub, "0.1.4", other_wheel.MUTE)
    hub.run("systemctl stop harvester-hub")
    hub.run(f"/opt/harvester/.venv/bin/python -m pip install -q --no-deps --force-reinstall {mute}")
    hub.run("systemctl start harvester-hub")
    for name in ("pi4", "pi5"):
        product.wait_until_online(hub, name)
    code, text = hub.attempt("harvester nodes update --canary pi4 2>&1", _UPDATE_S)
    assert (code, "the round stops: pi4:" in text) == (1, True), text
    assert "has stored no reading" in text
    assert "has stored no reading" in hub.run(f"curl -sf {product.PAGE}/system")
    assert record(pi5)["phase"] == "kept"
    for name in ("pi4", "pi5"):
        product.wait_until_online(hub, name)
        assert version_told(hub, name) == "0.1.1"


def test_roll_back_by_hand_changes_back_to_the_version_before(hub: Machine, pi5: Machine) -> None:
    before = record(pi5)["previous"]
    pi5.run("harvester rollback", _UPDATE_S)
    assert pi5.run(f"readlink {_LINK}").strip().endswith(before)
    product.wait_until_online(hub, "pi5")
    assert version_told(hub, "pi5") == "0.1.0"


# Each cut takes half a minute, and more where the machine is busy.
@pytest.mark.timeout(CUTS * 180)
def test_after_power_cuts_at_random_moments_a_node_always_works(hub: Machine, pi4: Machine) -> None:
    seed = int(os.environ.get("HARVESTER_SEED", time.time_ns() % 100_000))
    chance = random.Random(seed)
    # Two of them are beside each other once both were kept, so that little time goes by.
    wheels = [bring(pi4, "0.1.5"), bring(pi4, "0.1.6")]
    wheels.append(bring(pi4, "0.1.7", other_wheel.CRASHING))
    phases = []
    for number in range(CUTS):
        wheel = next(path for path in wheels[number % 3 :] + wheels if not is_in_use(pi4, path))
        with pi4.background(f"harvester update {wheel}") as process:
            if number % 4:
                # The new environment is made, and the unit goes on.
                wait_while(lambda p=process: has_ended(pi4) and p.poll() is None, _UPDATE_S)  # type: ignore[misc]
                moment_s = chance.uniform(0.0, 2.0 * _JUDGED_S)
            else:
                moment_s = chance.uniform(0.0, 60.0)
            wait_while(lambda p=process: p.poll() is None, moment_s)  # type: ignore[misc]
            phases.append(record(pi4)["phase"])
            pi4.power_cut()
        print(f"seed {seed}: power cut {number + 1} in phase {phases[-1]!r}")  # noqa: T201 - progress
        pi4.power_on()
        pi4.wait_for(f"systemctl is-active {AGENT}", product.PATIENT_S)
        product.wait_until_online(hub, "pi4")
        pi4.wait_until(lambda: has_ended(pi4), "the update has ended", _UPDATE_S)
        product.wait_until_online(hub, "pi4")
        assert pi4.run(f"{_LINK}/bin/harvester --version")
    print(f"\nseed {seed}: {len(phases)} power cuts, in the phases {phases}")  # noqa: T201 - the figure
    hub.wait_until(lambda: product.count(hub, "pi4").missing == 0, "every reading")


def is_in_use(machine: Machine, wheel: str) -> bool:
    return wheel.split("-")[1] == machine.path(_LINK).readlink().name.split("-")[0]


def wait_while(is_so: Callable[[], bool], longest_s: float) -> None:
    end_s = time.monotonic() + longest_s
    while is_so() and time.monotonic() < end_s:
        time.sleep(0.05)


def has_ended(machine: Machine) -> bool:
    return record(machine)["phase"] in ("", "kept", "rolled-back", "failed", "up-to-date")
