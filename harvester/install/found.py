"""The machine as it is found: its name, model and the chips on its I2C bus."""

import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from bus.contract.topics import is_name
from bus.errors import HarvesterError
from node_agent.hal.real import model
from node_agent.hal.real.i2c_bus import I2cBus
from node_agent.hal.real.model import Model
from plugins.bme680.driver import CHIP_ID

I2C_DEVICE = "dev/i2c-1"
# BST-BME680-DS001 table 16, and section 6.2: the two addresses.
_CHIP_ID_REGISTER = b"\xd0"
_BME680_ADDRESSES = ("0x76", "0x77")
# SSD1306 rev 1.1, 8.1.5: the two addresses; table 9-1: a NOP, to which a display gives no answer.
_DISPLAY_ADDRESSES = ("0x3c", "0x3d")
_NOP = b"\x00\xe3"
# Sensirion datasheet SHT3x-DIS: addresses (table 8), status register (table 18), and its checksum
# (section 4.12).
_SHT31_ADDRESSES = ("0x44", "0x45")
_STATUS_REGISTER = b"\xf3\x2d"
_STATUS_BYTES = 3
_CRC_POLYNOMIAL, _CRC_INITIAL = 0x31, 0xFF
_NAME_CHARS = 32

Transfer = Callable[[int, bytes, int], bytes]


class Bus(Protocol):
    """An I2C bus."""

    def transfer(self, address: int, data: bytes, read_len: int) -> bytes: ...

    def close(self) -> None: ...


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """`host` is a valid node id made from the machine's host name."""

    host: str
    model: Model = Model()
    bme680_addresses: tuple[str, ...] = ()
    display_addresses: tuple[str, ...] = ()
    sht31_addresses: tuple[str, ...] = ()

    @property
    def chips(self) -> list[str]:
        """The chips in words."""
        named = (
            ("BME680", self.bme680_addresses),
            ("SHT31", self.sht31_addresses),
            ("display", self.display_addresses),
        )
        return [f"{name} at {address}" for name, addresses in named for address in addresses]

    def __str__(self) -> str:
        chips = ", ".join(self.chips) or "no chips on I2C"
        return f"{self.model.name or 'no Raspberry Pi'}; {chips}"


def look(
    root: Path = Path("/"), host: str | None = None, open_bus: Callable[[str], Bus] = I2cBus
) -> Found:
    """Return what there is. No chip is changed by it."""
    name = node_id(socket.gethostname() if host is None else host)
    device = root / I2C_DEVICE
    if not device.exists():
        return Found(host=name, model=model.read(root))
    bus = open_bus(str(device))
    try:
        return Found(
            host=name,
            model=model.read(root),
            bme680_addresses=bme680_addresses(bus.transfer),
            display_addresses=display_addresses(bus.transfer),
            sht31_addresses=sht31_addresses(bus.transfer),
        )
    finally:
        bus.close()


def node_id(host: str) -> str:
    """Return a node id that resembles a host name."""
    first = host.partition(".")[0].lower()
    name = re.sub(r"[^a-z0-9-]+", "-", first)[:_NAME_CHARS].strip("-")
    return name if is_name(name) else "node"


def bme680_addresses(transfer: Transfer) -> tuple[str, ...]:
    """Return the addresses at which a chip has the id of a BME680."""
    expected = bytes([CHIP_ID])
    asked = {a: _asked(transfer, a, _CHIP_ID_REGISTER, 1) for a in _BME680_ADDRESSES}
    return tuple(address for address, answer in asked.items() if answer == expected)


def display_addresses(transfer: Transfer) -> tuple[str, ...]:
    """Return the addresses of displays at which a chip acknowledges."""
    asked = {a: _asked(transfer, a, _NOP, 0) for a in _DISPLAY_ADDRESSES}
    return tuple(address for address, answer in asked.items() if answer is not None)


def sht31_addresses(transfer: Transfer) -> tuple[str, ...]:
    """Return the addresses at which a chip answers its status with the checksum of an SHT31."""
    asked = {a: _asked(transfer, a, _STATUS_REGISTER, _STATUS_BYTES) for a in _SHT31_ADDRESSES}
    return tuple(address for address, answer in asked.items() if answer and _has_checksum(answer))


def _has_checksum(answer: bytes) -> bool:
    rest = _CRC_INITIAL
    for byte in answer[:-1]:
        rest ^= byte
        for _ in range(8):
            rest = (rest << 1) ^ (_CRC_POLYNOMIAL if rest & 0x80 else 0)
            rest &= 0xFF
    return rest == answer[-1]


def _asked(transfer: Transfer, address: str, data: bytes, read_len: int) -> bytes | None:
    try:
        return transfer(int(address, 16), data, read_len)
    except HarvesterError:
        return None
