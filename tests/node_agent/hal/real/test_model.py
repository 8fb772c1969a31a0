from pathlib import Path

import msgspec
import pytest

from bus.config.settings import LedsConfig
from node_agent.hal.real.board import open_strip
from node_agent.hal.real.model import Model, read
from node_agent.hal.real.revpi.front_leds import FrontLeds
from node_agent.hal.real.revpi.pi_control import PiControl
from node_agent.hal.real.spi_strip import SpiStrip
from node_agent.hal.real.strip import Ws281xStrip

PI4 = Model(name="Raspberry Pi 4 Model B Rev 1.5")
PI5 = Model(name="Raspberry Pi 5 Model B Rev 1.0", has_rp1=True)


def put(root: Path, file: str, text: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)


def machine(root: Path, model: str, *compatible: str) -> Model:
    put(root, "proc/device-tree/model", f"{model}\0")
    put(root, "proc/device-tree/compatible", "".join(f"{word}\0" for word in compatible))
    return read(root)


def test_a_raspberry_pi_4_writes_registers(tmp_path: Path) -> None:
    assert machine(tmp_path, PI4.name, "raspberrypi,4-model-b", "brcm,bcm2711") == PI4


@pytest.mark.parametrize(
    ("model", "compatible"),
    [
        ("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi,5-model-b"),
        ("Raspberry Pi Compute Module 5 Rev 1.0", "raspberrypi,5-compute-module"),
        ("Raspberry Pi 500 Rev 1.0", "raspberrypi,500"),
    ],
)
def test_the_pins_of_a_bcm2712_are_on_a_chip_of_their_own(
    tmp_path: Path, model: str, compatible: str
) -> None:
    found = machine(tmp_path, model, compatible, "brcm,bcm2712")
    assert found == Model(name=model, has_rp1=True)


@pytest.mark.parametrize(
    ("code", "has_rp1"),
    [("c04170", True), ("b04180", True), ("c03115", False), ("000e", False), ("x", False)],
)
def test_the_revision_code_tells_the_processor_too(
    tmp_path: Path, code: str, has_rp1: bool
) -> None:
    put(tmp_path, "proc/cpuinfo", f"processor\t: 0\n\nRevision\t: {code}\nSerial\t\t: 1\n")
    assert read(tmp_path).has_rp1 is has_rp1


def test_a_revolution_pi_is_known_by_its_device_tree_or_its_driver(tmp_path: Path) -> None:
    name = "Raspberry Pi Compute Module 4 Rev 1.1"
    assert machine(tmp_path, name, "kunbus,revpi-connect4", "brcm,bcm2711").is_revpi
    put(tmp_path, "proc/device-tree/compatible", "raspberrypi,4-compute-module\0brcm,bcm2711\0")
    assert read(tmp_path) == Model(name=name)
    put(tmp_path, "dev/piControl0", "")
    assert read(tmp_path).is_revpi


def test_a_machine_without_a_device_tree_is_no_raspberry_pi(tmp_path: Path) -> None:
    assert read(tmp_path) == Model()


@pytest.mark.parametrize(
    ("leds", "model", "kind"),
    [
        ({}, PI4, Ws281xStrip),
        ({"pin": 10}, PI4, Ws281xStrip),
        ({"pin": 10}, PI5, SpiStrip),
        # It says which pin can.
        ({"pin": 18}, PI5, SpiStrip),
        ({"pin": 10, "driver": "spi"}, PI4, SpiStrip),
        ({"driver": "ws281x"}, PI5, Ws281xStrip),
        ({"driver": "revpi"}, PI4, FrontLeds),
        ({}, Model(), Ws281xStrip),
    ],
)
def test_the_driver_of_a_strip_is_chosen_by_configuration_and_machine(
    leds: dict[str, object], model: Model, kind: type[object]
) -> None:
    table = msgspec.convert({"count": 2, **leds}, LedsConfig)
    assert type(open_strip(table, model, PiControl())) is kind
