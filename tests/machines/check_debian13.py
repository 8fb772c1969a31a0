"""Debian 13, which has Python 3.13: the system of a Raspberry Pi OS of today."""

from collections.abc import Iterator

import pytest

from tests.machines import product
from tests.machines.cache import TRIXIE
from tests.machines.laboratory import Laboratory
from tests.machines.machine import Machine


@pytest.fixture(scope="module")
def hub(lab: Laboratory) -> Iterator[Machine]:
    with lab.machine("trixie", product.HUB_ADDRESS, suite=TRIXIE) as machine:
        # spidev is compiled here, as on a Raspberry Pi.
        product.get_program(machine)
        product.install_hub(machine)
        yield machine


def test_one_command_makes_a_hub_of_debian_13(hub: Machine) -> None:
    assert hub.run("/opt/harvester/.venv/bin/python --version").startswith("Python 3.13")
    hub.wait_for(f"curl -sf {product.PAGE}/health", product.PATIENT_S)
    assert product.health(hub)["status"] == "ok"
    product.wait_until_online(hub, "trixie")
    hub.wait_until(lambda: product.count(hub, "trixie").stored > 2, "readings", product.PATIENT_S)
    assert hub.run("journalctl -q -b -o cat -p warning -u 'harvester-*'") == ""


def test_the_libraries_of_the_drivers_are_compiled_and_import(hub: Machine) -> None:
    hub.run("/opt/harvester/.venv/bin/python -c 'import gpiod, serial, smbus2, spidev'")
    # The extra takes these on a Raspberry Pi only.
    hub.run("python3 -m venv /root/v && /root/v/bin/pip install -q gpiod rpi-ws281x", 600)
    hub.run("/root/v/bin/pip install -q adafruit-circuitpython-dht", 600)
    pi = "BLINKA_FORCEBOARD=RASPBERRY_PI_5 BLINKA_FORCECHIP=BCM2XXX"
    hub.run(f"{pi} /root/v/bin/python -c 'import adafruit_dht, board, rpi_ws281x'")


def test_systemd_finds_little_that_a_unit_exposes(hub: Machine) -> None:
    lines = hub.run("systemd-analyze security --no-pager | grep harvester").splitlines()
    assert {
        line.split()[0]: line.split()[1] for line in lines if float(line.split()[1]) > 2.5
    } == {}
