"""The machine as it is found: a node id from its host name, and the chips on its bus."""

from pathlib import Path

import pytest

from examples.sht31.simulated import Sht31
from harvester.install import found
from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.simulated.bme680.chip import SimulatedBme680
from node_agent.hal.simulated.bme680.physics import Air
from node_agent.hal.simulated.display import SimulatedSsd1306
from node_agent.hal.simulated.i2c_bus import SimulatedI2cBus, Slot, one_after_the_other
from node_agent.hal.simulated.scenario import Scenario
from node_agent.hal.simulated.wire import Wire

AIR = Air(temperature_c=21.0, humidity_pct=45.0, pressure_hpa=1000.0, gas_ohm=50_000.0)


def zero() -> float:
    """Stopped clock."""
    return 0.0


@pytest.mark.parametrize(
    ("host", "node"),
    [
        ("garden", "garden"),
        ("Garden-Shed.lan", "garden-shed"),
        ("my_pi", "my-pi"),
        ("", "node"),
        ("...", "node"),
        ("-x-", "x"),
        ("cmd", "node"),
    ],
)
def test_a_host_name_becomes_a_node_id(host: str, node: str) -> None:
    assert found.node_id(host) == node


def transfer(address: int, data: bytes, read_len: int) -> bytes:
    """A bus with a BME680 at 0x77, another chip at 0x76 and a display at 0x3c."""
    if address == 0x3C and not read_len:
        return b""
    ids = {0x76: b"\x58", 0x77: b"\x61"}
    if address in ids and data == b"\xd0":
        return ids[address]
    raise DeviceUnavailableError(f"no answer at 0x{address:02x}")


def test_a_bme680_is_known_by_its_id() -> None:
    assert found.bme680_addresses(transfer) == ("0x77",)


def test_a_display_is_known_by_its_acknowledgement() -> None:
    assert found.display_addresses(transfer) == ("0x3c",)


def test_an_sht31_is_known_by_the_checksum_of_its_status() -> None:
    other = b"\x80\x10\x00"
    answers = {0x44: Sht31().transfer(b"\xf3\x2d", 3, 0.0), 0x45: other}
    assert found.sht31_addresses(lambda address, _data, _len: answers[address]) == ("0x44",)


def test_the_chips_of_a_simulated_bus_are_found(tmp_path: Path) -> None:
    """The chips are those of the simulated machine, which answer by their registers."""
    wire = Wire("chip", "i2c-1", Scenario(), zero)
    air, humid = SimulatedBme680(lambda _: AIR, zero), Sht31()
    slots = {
        0x76: Slot(wire, one_after_the_other(air)),
        0x3C: Slot(wire, one_after_the_other(SimulatedSsd1306())),
        0x45: Slot(wire, lambda data, read_len: humid.transfer(data, read_len, 0.0)),
    }
    (tmp_path / "dev").mkdir()
    (tmp_path / found.I2C_DEVICE).touch()
    opened: list[str] = []

    def open_bus(path: str) -> SimulatedI2cBus:
        opened.append(path)
        return SimulatedI2cBus("i2c-1", slots)

    seen = found.look(tmp_path, "shed", open_bus)
    assert opened == [str(tmp_path / found.I2C_DEVICE)]
    assert seen.chips == ["BME680 at 0x76", "SHT31 at 0x45", "display at 0x3c"]


def test_a_machine_without_a_bus_has_no_chips(tmp_path: Path) -> None:
    seen = found.look(tmp_path, host="shed")
    assert (seen.host, seen.bme680_addresses, seen.display_addresses) == ("shed", (), ())
    assert str(seen) == "no Raspberry Pi; no chips on I2C"
