from pathlib import Path
from typing import Any

import pytest

from harvester.doctor.finding import Finding
from harvester.doctor.models import facts, model_findings
from harvester.doctor.needs import interfaces
from node_agent.hal.real.model import Model
from tests.harvester.doctor.fake_machine import FakePi, config

PI4 = "Raspberry Pi 4 Model B Rev 1.5"
PI5 = "Raspberry Pi 5 Model B Rev 1.0"
CM5 = "Raspberry Pi Compute Module 5 Rev 1.0"
REVPI = "Raspberry Pi Compute Module 4 Rev 1.1"


def findings(pi: FakePi, model: str, compatible: str, **tables: Any) -> list[Finding]:
    pi.put("/proc/device-tree/model", f"{model}\0")
    pi.put("/proc/device-tree/compatible", f"{compatible}\0")
    settings = config(**tables)
    return list(model_findings(settings, facts(pi.machine(), settings).model))


def missing(found: list[Finding]) -> dict[str, str]:
    return {finding.what: finding.mend for finding in found if not finding.is_well}


@pytest.fixture
def pi(tmp_path: Path) -> FakePi:
    return FakePi(tmp_path)


def test_the_model_is_named(pi: FakePi) -> None:
    [finding] = findings(pi, PI4, "brcm,bcm2711", leds={"count": 3, "pin": 18})
    assert (finding.is_well, finding.what, finding.found) == (True, "machine", PI4)
    assert list(model_findings(config(), Model())) == []


@pytest.mark.parametrize("model", [PI5, CM5])
@pytest.mark.parametrize(
    ("leds", "words"),
    [
        ({"pin": 18}, "set leds.pin = 10"),
        ({"pin": 18, "driver": "ws281x"}, 'set leds.driver = "auto", and connect'),
        ({"pin": 10, "driver": "ws281x"}, 'set leds.driver = "auto", and connect'),
        ({"pin": 10}, ""),
        ({"pin": 10, "driver": "spi"}, ""),
    ],
)
def test_a_raspberry_pi_5_drives_a_strip_through_spi_only(
    pi: FakePi, model: str, leds: dict[str, Any], words: str
) -> None:
    found = findings(pi, model, "brcm,bcm2712", leds={"count": 3, **leds})
    mends = list(missing(found).values())
    assert len(mends) == (1 if words else 0)
    assert all(words in mend for mend in mends)


def test_a_strip_on_a_raspberry_pi_5_needs_spidev(pi: FakePi) -> None:
    pi.put("/proc/device-tree/compatible", "raspberrypi,5-model-b\0brcm,bcm2712\0")
    settings = config(leds={"count": 1, "pin": 10}, buzzer={})
    wanted = interfaces(settings, "spoke", facts(pi.machine(), settings))
    assert [name for interface in wanted for name in interface.libraries] == ["gpiod", "spidev"]


def test_a_pin_that_cannot_drive_a_strip_is_named(pi: FakePi) -> None:
    [(what, mend)] = missing(findings(pi, PI4, "x", leds={"count": 1, "pin": 5})).items()
    assert (what, "leds.pin" in mend) == ("strip gpio5", True)


def test_the_pins_that_a_revolution_pi_lacks_are_named_with_their_keys(pi: FakePi) -> None:
    inputs = {"enabled": ["door"], "grants": {"door": {"inputs": [5]}}}
    tables = {"buzzer": {}, "leds": {"count": 1}, "plugins": inputs}
    found = findings(pi, REVPI, "kunbus,revpi-connect4", **tables)
    assert found[0].found == f"{REVPI}, a Revolution Pi"
    assert missing(found) == {
        "gpio5": "leave out plugins.grants.door.inputs",
        "gpio17": "leave out buzzer.pin",
        "gpio18": 'set leds.driver = "revpi" for the LEDs on its front, or leds.count = 0',
    }


def test_the_front_leds_of_a_revolution_pi_are_well(pi: FakePi) -> None:
    leds = {"count": 5, "driver": "revpi"}
    assert missing(findings(pi, REVPI, "kunbus,revpi-connect4", leds=leds)) == {}
