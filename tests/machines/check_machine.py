"""The machines themselves: what every other check relies on."""

from collections.abc import Iterator

import pytest

from tests.machines.laboratory import Laboratory
from tests.machines.machine import Machine


@pytest.fixture(scope="module")
def pair(lab: Laboratory) -> Iterator[tuple[Machine, Machine]]:
    with lab.machine("one", "192.168.7.21") as one, lab.machine("two", "192.168.7.22") as two:
        yield one, two


def reaches(machine: Machine, other: Machine) -> bool:
    """Whether a connection is refused by the other machine, which is an answer."""
    _, text = machine.attempt(f"curl -sv --connect-timeout 2 http://{other.address}:9")
    return "Connection refused" in text


def test_machines_reach_each_other_and_nothing_else(pair: tuple[Machine, Machine]) -> None:
    one, two = pair
    assert reaches(one, two)
    assert one.run("ip route show default") == ""


def test_a_file_outlives_a_power_cut(pair: tuple[Machine, Machine]) -> None:
    one, _ = pair
    one.run("echo kept > /root/kept; sync; echo x > /run/lost")
    one.power_cut()
    assert not one.is_on
    one.power_on()
    assert one.run("cat /root/kept; ls /run/lost 2>&1 || true").startswith("kept\nls: cannot")


def test_a_reboot_begins_another_boot(pair: tuple[Machine, Machine]) -> None:
    one, _ = pair
    before = one.boot_id()
    one.reboot()
    assert one.boot_id() != before


def test_a_cable_can_be_out_from_the_start(pair: tuple[Machine, Machine]) -> None:
    one, two = pair
    one.power_off()
    one.power_on(cable=False)
    assert not reaches(two, one)
    one.plug_cable()
    one.wait_until(lambda: reaches(one, two), "the other machine answers")
    one.pull_cable()
    assert not reaches(one, two)
    one.plug_cable()
    one.wait_until(lambda: reaches(one, two), "the other machine answers again")
