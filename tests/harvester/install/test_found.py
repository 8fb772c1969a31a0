"""The machine as it is found: a node id from its host name, and the chips on its bus."""

from pathlib import Path

import pytest

from harvester.install import found
from node_agent.hal.errors import DeviceUnavailableError


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


def test_a_machine_without_a_bus_has_no_chips(tmp_path: Path) -> None:
    seen = found.look(tmp_path, host="shed")
    assert (seen.host, seen.bme680_addresses, seen.display_addresses) == ("shed", (), ())
    assert str(seen) == "no Raspberry Pi; no chips on I2C"
