"""A machine becomes a node by one line of the hub: join, refusals, replacement, reboot."""

import sys
import time
from collections.abc import Iterator

import pytest

from tests.machines import product
from tests.machines.laboratory import Laboratory
from tests.machines.machine import Machine

CODES = "/var/lib/harvester-hub/revpi/join-codes.json"
# What a join makes on a machine.
MADE = "/opt/harvester /etc/harvester /var/lib/harvester-join"


@pytest.fixture(scope="module")
def hub(lab: Laboratory) -> Iterator[Machine]:
    with lab.machine("revpi", product.HUB_ADDRESS) as machine:
        product.get_program(machine)
        product.install_hub(machine)
        product.wait_until_online(machine, "revpi")
        yield machine


@pytest.fixture(scope="module")
def shed(lab: Laboratory) -> Iterator[Machine]:
    """A machine that is none of the hub's nodes; every line that it runs is refused."""
    with lab.machine("shed", "192.168.7.15") as machine:
        product.leave_without_packages(machine)
        yield machine


@pytest.fixture(scope="module")
def line(hub: Machine) -> str:
    """The line of pi4."""
    return product.join_line(hub, "pi4", "--area Garden")


@pytest.fixture(scope="module")
def pi4(lab: Laboratory, hub: Machine, line: str) -> Iterator[Machine]:
    with lab.machine("pi4", "192.168.7.11") as machine:
        product.leave_without_packages(machine)
        start_s = time.monotonic()
        code, text = product.join(machine, line)
        joined_s = time.monotonic() - start_s
        assert code == 0, text
        assert f"pi4 is online. The page: http://{product.HUB_ADDRESS}:3000/" in text
        hub.wait_until(lambda: product.count(hub, "pi4").stored > 0, "readings of pi4")
        stored_s = time.monotonic() - start_s
        sys.stdout.write(f"join: {joined_s:.1f} s until online, {stored_s:.1f} s until stored\n")
        yield machine


def is_untouched(machine: Machine) -> bool:
    return machine.run(f"ls -d {MADE} 2>/dev/null || true") == ""


def expire(hub: Machine, node: str) -> None:
    """Move the end of a node's code into the past."""
    change = (
        "import json, pathlib, sys; path = pathlib.Path(sys.argv[1]); "
        "codes = json.loads(path.read_text()); "
        "[code.update(expires_ms=1) for code in codes if code['node'] == sys.argv[2]]; "
        "path.write_text(json.dumps(codes))"
    )
    hub.run(f'python3 -c "{change}" {CODES} {node}')


def test_a_dry_run_names_the_steps_and_changes_nothing(line: str, shed: Machine) -> None:
    code, text = product.join(shed, line.replace("sudo sh", "sh -s -- --dry-run"))
    assert code == 0
    assert "would get the login of pi4" in text
    assert is_untouched(shed)


def test_a_fresh_machine_is_online_by_one_line(hub: Machine, pi4: Machine) -> None:
    assert product.presence(hub, "pi4") == "online"
    assert 'area = "Garden"' in pi4.run("cat /etc/harvester/spoke.toml")
    # As `harvester install node` makes it: an update finds what it needs.
    assert pi4.run("cat /opt/harvester/.venv/identity").strip()
    assert pi4.run("ls /opt/harvester/environments").split() != []
    assert pi4.run("ls -d /var/lib/harvester-join 2>/dev/null || true") == ""
    assert pi4.run("stat -c '%U %a' /etc/harvester/credentials.toml") == "harvester 600\n"


def test_a_used_code_is_refused(line: str, pi4: Machine, shed: Machine) -> None:
    del pi4  # it has used the code
    code, text = product.join(shed, line)
    assert code == 1
    assert "a machine has used this code for pi4" in text
    assert is_untouched(shed)


def test_a_joined_machine_joins_no_second_time(hub: Machine, pi4: Machine) -> None:
    before = pi4.run("sha256sum /etc/harvester/*")
    code, text = product.join(pi4, product.join_line(hub, "attic"))
    assert code == 1
    assert "this machine is a node already, pi4" in text
    assert pi4.run("sha256sum /etc/harvester/*") == before


def test_a_wrong_pin_runs_nothing(hub: Machine, shed: Machine) -> None:
    line = product.join_line(hub, "forged")
    pin = line.split("'")[1]
    code, text = product.join(shed, line.replace(pin, f"sha256//{'A' * 43}="))
    assert code != 0
    assert "public key does not match" in text
    assert "harvester:" not in text
    assert is_untouched(shed)


def test_a_download_that_is_cut_off_does_nothing(hub: Machine, shed: Machine) -> None:
    line = product.join_line(hub, "cut")
    for size in (1000, 3000, 6000):
        _, text = product.join(shed, line.replace("| sudo sh", f"| head -c {size} | sudo sh"))
        assert "harvester:" not in text
    assert is_untouched(shed)


def test_an_expired_code_is_refused_with_a_sentence(hub: Machine, shed: Machine) -> None:
    line = product.join_line(hub, "late")
    expire(hub, "late")
    code, text = product.join(shed, line)
    assert code == 1
    assert "this code for late has expired" in text
    assert "make another on the hub: sudo harvester join-code late" in text
    assert is_untouched(shed)


def test_a_revoked_code_is_refused_with_a_sentence(hub: Machine, shed: Machine) -> None:
    line = product.join_line(hub, "gone")
    hub.run("harvester join-code gone --revoke")
    code, text = product.join(shed, line)
    assert code == 1
    assert "found no such code" in text


def test_a_hub_is_not_made_a_node(hub: Machine) -> None:
    code, text = product.join(hub, product.join_line(hub, "self"))
    assert code == 1
    assert "this machine is a hub" in text


def test_a_machine_of_another_architecture_is_told_of_the_index(
    hub: Machine, shed: Machine
) -> None:
    shed.write(
        "/usr/local/bin/uname",
        '#!/bin/sh\n[ "$*" != -m ] || { echo riscv64; exit; }\nexec /usr/bin/uname "$@"\n',
        mode=0o755,
    )
    code, text = product.join(shed, product.join_line(hub, "riscv"))
    shed.run("rm /usr/local/bin/uname; rm -r /var/lib/harvester-join")
    assert code == 1
    assert "the hub lacks some wheels for this machine; asking the package index" in text
    assert "Give this machine a way to the internet" in text
    assert is_untouched(shed)


def test_a_joined_machine_is_online_by_itself_after_a_reboot(hub: Machine, pi4: Machine) -> None:
    pi4.reboot()
    before = product.count(hub, "pi4").stored
    product.wait_until_online(hub, "pi4")
    hub.wait_until(lambda: product.count(hub, "pi4").stored > before, "more readings")


@pytest.mark.parametrize("former", ["none", "pi4", "attic"])
def test_a_new_machine_replaces_a_dead_one_and_keeps_its_history(
    lab: Laboratory, hub: Machine, pi4: Machine, former: str
) -> None:
    """`former` is the node whose configuration the new machine has from another time."""
    pi4.power_off()
    before = product.count(hub, "pi4").stored
    refused, text = hub.attempt("harvester join-code pi4")
    assert refused == 2
    assert "--replace" in text
    line = product.join_line(hub, "pi4", "--replace")
    with lab.machine("new", "192.168.7.16") as new:
        product.leave_without_packages(new)
        if former != "none":
            text = pi4.path("/etc/harvester/spoke.toml").read_text()
            text = text.replace('node_id = "pi4"', f'node_id = "{former}"')
            new.write("/etc/harvester/spoke.toml", f"{text}\n# mine\n")
        code, text = product.join(new, line)
        assert code == 0, text
        product.wait_until_online(hub, "pi4")
        hub.wait_until(lambda: product.count(hub, "pi4").stored > before, "more readings")
        is_kept = "# mine" in new.run("cat /etc/harvester/spoke.toml")
        assert is_kept == (former == "pi4")
        assert ("put aside" in text) == (former == "attic")


def test_a_join_goes_on_after_a_power_cut(lab: Laboratory, hub: Machine) -> None:
    line = product.join_line(hub, "power")
    with lab.machine("power", "192.168.7.17") as power:
        product.leave_without_packages(power)
        with power.background(line):
            power.wait_for("test -e /var/lib/harvester-join/join.json")
            power.power_cut()
        power.power_on()
        code, text = product.join(power, line)
        assert code == 0, text
        hub.wait_until(lambda: product.count(hub, "power").stored > 0, "readings of power")


def test_a_small_machine_joins_with_the_light_service(lab: Laboratory, hub: Machine) -> None:
    line = product.join_line(hub, "zero", "--area Roof")
    with lab.machine("zero", "192.168.7.12") as zero:
        product.leave_without_packages(zero)
        code, text = product.join(zero, line.replace("sudo sh", "sudo sh -s -- --light"))
        assert code == 0, text
        hub.wait_until(lambda: product.count(hub, "zero").stored > 0, "readings of zero")
        assert 'area = "Roof"' in zero.run("cat /etc/harvester/pizero.toml")
        assert product.properties(zero, "harvester-pizero")["ActiveState"] == "active"


def test_five_wrong_codes_are_too_many(hub: Machine, shed: Machine) -> None:
    line = product.join_line(hub, "guess")
    wrong = line.replace(line.split("/join/")[1].split()[0], "a" * 26)
    texts = [product.join(shed, wrong)[1] for _ in range(7)]
    assert "found no such code" in texts[0]
    assert "too many wrong codes; try again in" in texts[-1]
