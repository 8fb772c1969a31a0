from pathlib import Path
from typing import Any

import pytest

from harvester.doctor.boot import boot_findings
from harvester.doctor.finding import Finding, State
from harvester.doctor.models import facts
from harvester.doctor.needs import interfaces
from tests.harvester.doctor.fake_machine import FakePi, config

CONFIG = "/boot/firmware/config.txt"
RELAYS: dict[str, Any] = {"buzzer": {"pin": 17}, "fan": {"pin": 27}}


@pytest.fixture
def pi(tmp_path: Path) -> FakePi:
    made = FakePi(tmp_path)
    made.put(CONFIG, "dtparam=i2c_arm=on\n[all]\n")
    return made


def findings(pi: FakePi, **tables: Any) -> list[Finding]:
    settings = config(**tables)
    return list(boot_findings(pi.machine(), settings, facts(pi.machine(), settings)))


def give_to_the_kernel(pi: FakePi, pin: int) -> None:
    pi.put("/sys/bus/iio/devices/iio:device0/name", f"dht11@{pin:x}\n")


def test_relays_that_float_at_boot_get_a_line_for_their_polarity(pi: FakePi) -> None:
    [finding] = findings(pi, **RELAYS)
    assert (finding.state, finding.is_well) == (State.ADVICE, True)
    assert finding.found == "gpio17, gpio27 at no safe level until the agent starts"
    assert finding.mend == (
        f"printf '\\n[all]\\ngpio=17,27=op,dh\\n' | sudo tee -a {CONFIG} && sudo reboot"
    )


def test_each_polarity_has_a_line_and_so_have_outputs_of_plugins(pi: FakePi) -> None:
    grants = {"valve": {"outputs": [{"pin": 22, "safe": "low"}]}}
    tables = {"buzzer": {"pin": 17}, "fan": {"pin": 27, "active_low": False}}
    plugins = {"enabled": ["valve"], "grants": grants}
    [finding] = findings(pi, **tables, plugins=plugins)
    assert "[all]\\ngpio=17=op,dh\\ngpio=22,27=op,dl\\n" in finding.mend


@pytest.mark.parametrize(
    "lines",
    ["gpio=17,27=op,dh\n", "gpio=17=op,dh\ngpio=26-27=op,pn,dh # relays\n", "gpio=0-27=dh,op"],
)
def test_lines_that_are_there_are_enough(pi: FakePi, lines: str) -> None:
    pi.put(CONFIG, lines)
    [finding] = findings(pi, **RELAYS)
    assert (finding.state, finding.mend) == (State.OK, "")


@pytest.mark.parametrize(
    "lines",
    [
        "#gpio=17=op,dh\n",
        "gpio=17=op,dl",
        "gpio=17=ip,pu",
        "gpio=17",
        "gpio=x-y=op,dh",
        "gpio==op,dh",
    ],
)
def test_other_lines_are_not(pi: FakePi, lines: str) -> None:
    pi.put(CONFIG, lines)
    [finding] = findings(pi, buzzer={"pin": 17})
    assert (finding.state, "gpio=17=op,dh" in finding.mend) == (State.ADVICE, True)


def test_the_older_place_of_the_file_is_known(pi: FakePi) -> None:
    pi.take(CONFIG)
    assert findings(pi, **RELAYS) == []
    pi.put("/boot/config.txt", "gpio=17,27=op,dh\n")
    assert [finding.state for finding in findings(pi, **RELAYS)] == [State.OK]


def test_a_dht22_is_offered_the_kernels_driver(pi: FakePi) -> None:
    [finding] = findings(pi, sensors={"dht22_pins": [4]})
    assert (finding.state, finding.what) == (State.ADVICE, "kernel driver dht11 gpio4")
    assert "\\ndtoverlay=dht11,gpiopin=4\\n" in finding.mend
    give_to_the_kernel(pi, 4)
    [finding] = findings(pi, sensors={"dht22_pins": [4]})
    assert finding.state is State.OK


def test_the_kernels_driver_is_missing_where_the_configuration_asks_for_it(pi: FakePi) -> None:
    sensors: dict[str, Any] = {"dht22_pins": [4], "dht22_driver": "iio"}
    [finding] = findings(pi, sensors=sensors)
    assert not finding.is_well
    assert findings(pi, sensors=sensors | {"dht22_driver": "adafruit"}) == []


def test_a_dht22_of_the_kernel_needs_no_library(pi: FakePi) -> None:
    settings = config(sensors={"dht22_pins": [4]})
    assert interfaces(settings, "spoke", facts(pi.machine(), settings)) != []
    give_to_the_kernel(pi, 4)
    assert interfaces(settings, "spoke", facts(pi.machine(), settings)) == []
