"""The extra `pi` on the machines that it is for: what is imported is what it requires."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.support import PROJECT

PROJECT_TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT_TABLE["optional-dependencies"]
# Distributions by the modules of theirs that drivers load.
DISTRIBUTIONS = {
    "adafruit_dht": "adafruit-circuitpython-dht",
    # Required by the one above.
    "board": "adafruit-circuitpython-dht",
    "gpiod": "gpiod",
    "gpiod.line": "gpiod",
    "rpi_ws281x": "rpi-ws281x",
    "serial": "pyserial",
    "smbus2": "smbus2",
    "spidev": "spidev",
}
MACHINES = [
    {"python_version": python, "python_full_version": f"{python}.2", "platform_machine": machine}
    for python in ("3.11", "3.13")
    for machine in ("aarch64", "armv7l")
]


def required(lines: list[str], machine: dict[str, str]) -> set[str]:
    environment = {"sys_platform": "linux", **machine}
    found = [Requirement(line) for line in lines]
    return {r.name for r in found if r.marker is None or r.marker.evaluate(environment)}


def loaded() -> set[str]:
    """Return the libraries that the drivers load by name."""
    files = (PROJECT / "node_agent" / "hal" / "real").rglob("*.py")
    pattern = re.compile(r"""library\.load\("([\w.]+)"\)""")
    return {name for file in files for name in pattern.findall(file.read_text())}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: " ".join(machine.values()))
def test_each_library_of_a_driver_is_required_on_each_machine(machine: dict[str, str]) -> None:
    base = required(PROJECT_TABLE["dependencies"], machine)
    found = base | required(EXTRAS["pi"], machine)
    assert {DISTRIBUTIONS[name] for name in loaded() - {"RPi.GPIO"}} - found == set()


def test_nothing_is_required_that_no_driver_loads() -> None:
    everywhere = set[str]().union(*(required(EXTRAS["pi"], machine) for machine in MACHINES))
    assert everywhere == {DISTRIBUTIONS[name] for name in loaded() - {"RPi.GPIO", "smbus2"}}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: " ".join(machine.values()))
def test_one_package_at_most_is_the_module_rpi_gpio(machine: dict[str, str]) -> None:
    assert len(required(EXTRAS["rpi-gpio"], machine)) == 1
    # They overwrite each other's files.
    assert not {"RPi.GPIO", "rpi-lgpio"} & required(EXTRAS["pi"], machine)
