"""A hub and a node by one command each, and their removal."""

from collections.abc import Iterator

import pytest

from tests.machines import product
from tests.machines.laboratory import Laboratory
from tests.machines.machine import Machine

HUB_UNITS = ("harvester-hub", "harvester-agent@hub")


@pytest.fixture(scope="module")
def bare(lab: Laboratory) -> Iterator[Machine]:
    """A machine with the program, which pipx has put into the home of root."""
    with lab.machine("revpi", product.HUB_ADDRESS) as machine:
        product.get_program(machine)
        yield machine


@pytest.fixture(scope="module")
def hub(bare: Machine) -> Machine:
    product.install_hub(bare)
    return bare


@pytest.fixture(scope="module")
def pi4(lab: Laboratory, hub: Machine) -> Iterator[Machine]:
    with lab.machine("pi4", "192.168.7.11") as machine:
        product.get_program(machine)
        product.install_node(hub, machine)
        product.wait_until_online(hub, "pi4")
        yield machine


def files(machine: Machine) -> str:
    folders = "/etc /opt /var/lib /usr/local"
    return machine.run(f"find {folders} -newer /etc/pip.conf -not -path '*/systemd/timesync/*'")


def test_a_dry_run_names_each_step_and_changes_nothing(bare: Machine) -> None:
    before = files(bare)
    text = bare.run(f"{product.FRESH} install hub --dry-run")
    assert "would do user harvester; groups gpio, i2c, spi, dialout" in text
    assert "would do certificate for TLS" in text
    assert files(bare) == before


def test_one_command_makes_a_hub_with_a_page(bare: Machine) -> None:
    text = product.install_hub(bare)
    assert f"http://{product.HUB_ADDRESS}:3000/" in text
    assert product.health(bare)["status"] == "ok"
    assert "<html" in bare.run(f"curl -sf {product.PAGE}/", product.PATIENT_S)
    product.wait_until_online(bare, "revpi")
    names = bare.run(
        "openssl x509 -noout -ext subjectAltName -in /var/lib/harvester-hub/revpi/tls/hub.pem"
    )
    # There is no default route: the interface is read.
    assert f"IP Address:{product.HUB_ADDRESS}" in names


def test_a_second_installation_changes_nothing(hub: Machine) -> None:
    hub.run("echo '# mine' >> /etc/harvester/hub.toml")
    before = hub.run("systemctl show -p MainPID harvester-hub; sha256sum /etc/harvester/*")
    text = hub.run("harvester install hub")
    assert "done" not in {line.split()[0] for line in text.splitlines() if line.strip()}
    assert hub.run("systemctl show -p MainPID harvester-hub; sha256sum /etc/harvester/*") == before


@pytest.mark.parametrize("unit", HUB_UNITS)
def test_systemd_finds_little_that_a_unit_exposes(hub: Machine, unit: str) -> None:
    (line,) = [
        line for line in hub.run("systemd-analyze security --no-pager").splitlines() if unit in line
    ]
    assert float(line.split()[1]) <= 2.5


def test_the_doctor_examines_with_the_rights_of_the_service(hub: Machine) -> None:
    _, text = hub.attempt("harvester doctor --role hub")
    assert "as user harvester" in text
    assert "dialout, gpio, harvester, i2c, spi" in text
    product.wait_until_online(hub, "revpi")


def test_the_journal_has_the_priorities_of_lines(hub: Machine) -> None:
    every = hub.run("journalctl -q -b -o cat -u harvester-hub")
    warnings = hub.run("journalctl -q -b -o cat -p warning -u harvester-hub")
    assert "INFO " in every
    assert "INFO " not in warnings


def test_a_node_joins_with_its_login_over_tls(hub: Machine, pi4: Machine) -> None:
    assert product.presence(hub, "pi4") == "online"
    assert "mqtts://192.168.7.10:8883" in pi4.run("cat /etc/harvester/credentials.toml")


def test_corrected_credentials_are_taken_up_without_a_restart(hub: Machine, pi4: Machine) -> None:
    pid = product.properties(pi4, "harvester-agent@spoke")["MainPID"]
    hub.run("harvester enroll pi4 --output /root/again.toml")
    hub.wait_until(lambda: product.presence(hub, "pi4") != "online", "pi4 is refused")
    text = hub.path("/root/again.toml").read_text()
    pi4.write("/root/again.toml", text, mode=0o600)
    pi4.run("install -m 600 -o harvester /root/again.toml /etc/harvester/credentials.toml")
    product.wait_until_online(hub, "pi4")
    assert product.properties(pi4, "harvester-agent@spoke")["MainPID"] == pid


def test_uninstalling_keeps_the_data_unless_it_purges(hub: Machine) -> None:
    hub.run("harvester uninstall")
    assert hub.run("ls /etc/harvester").split() == ["hub.toml"]
    assert hub.run("ls /var/lib/harvester-hub/revpi/accounts.json")
    left = hub.run("ls -A /opt; find /etc/systemd /usr/local -name '*harvester*'")
    assert left.split() == []
    product.install_hub(hub)
    assert product.health(hub)["status"] == "ok"
    hub.run("harvester uninstall --purge")
    left = hub.run("find /etc /opt /var/lib /var/cache /usr/local -name '*harvester*'")
    assert left.split() == []
    assert hub.attempt("id harvester")[0] != 0
