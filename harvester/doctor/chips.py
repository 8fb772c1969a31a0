"""Checks of chips and pins, through the hardware layer that the agent uses."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bus.config.plugin_files import plugin_file
from bus.config.settings import Config
from bus.contract.plugin_file import plugin_description
from bus.errors import BadDataError, HarvesterError
from harvester.doctor.finding import Finding, missing, ok
from harvester.doctor.needs import Role, grants, i2c_addresses, runs_plugins
from node_agent.hal.capabilities import Hardware
from node_agent.hal.errors import HardwareNotInstalledError
from plugins.bme680.driver import CHIP_ID

# BST-BME680-DS001 table 16.
_CHIP_ID_REGISTER = b"\xd0"
# SSD1306 rev 1.1, 8.1.5.2 and table 9-1: a command stream of one NOP, as the SH1106 has it (V2.3).
_NOP = b"\x00\xe3"

# The setting of a display's plugin that tells its controller.
_CONTROLLER = "controller"


class Blockers(msgspec.Struct, frozen=True):
    """The finding that keeps each interface from being used; None where nothing does."""

    i2c: Finding | None = None
    dht22: Finding | None = None


def chip_findings(
    config: Config, role: Role, hardware: Hardware, blockers: Blockers
) -> Iterator[Finding]:
    """Yield a finding a chip and sensor pin that the programs of `role` use."""
    chips = I2cChips(hardware, config.hardware.i2c_bus, blockers.i2c)
    for address in config.sensors.bme680_addresses:
        yield chips.bme680(address)
    if not runs_plugins(config, role):
        return
    displays = config.hardware.ssd1306_addresses
    for address in displays:
        yield chips.acknowledge(display(config, address), address, _NOP)
    for address in i2c_addresses(config):
        if address not in (*config.sensors.bme680_addresses, *displays):
            yield chips.acknowledge(_users(config, address), address, b"")
    for pin in config.sensors.dht22_pins:
        yield dht22(hardware, pin, blockers.dht22)


class I2cChips:
    """The chips on one I2C bus, which a missing device file or library may block."""

    def __init__(self, hardware: Hardware, bus: int, blocked_by: Finding | None) -> None:
        self._hardware = hardware
        self._bus = bus
        self._blocked_by = blocked_by

    def bme680(self, address: str) -> Finding:
        """Read the chip's id."""
        what = f"bme680 i2c-{self._bus} {address}"
        try:
            answer = self._hardware.i2c_transfer(int(address, 16), _CHIP_ID_REGISTER, 1)
        except HarvesterError as e:
            return self._silent(what, e)
        found = f"id 0x{answer.hex()}"
        if answer == bytes([CHIP_ID]):
            return ok(what, found)
        mend = "put a BME680 there, or change sensors.bme680_addresses"
        return missing(what, f"{found}, expected 0x{CHIP_ID:02x}", mend)

    def acknowledge(self, name: str, address: str, harmless: bytes) -> Finding:
        """Check that a chip acknowledges `harmless`, bytes that change nothing in it."""
        what = f"{name} i2c-{self._bus} {address}"
        try:
            self._hardware.i2c_transfer(int(address, 16), harmless, 0)
        except HarvesterError as e:
            return self._silent(what, e)
        return ok(what, "answers")

    def _silent(self, what: str, error: HarvesterError) -> Finding:
        wiring = f"check its wiring and address: i2cdetect -y {self._bus}"
        return _unanswered(what, error, self._blocked_by, wiring)


def dht22(hardware: Hardware, pin: int, blocked_by: Finding | None) -> Finding:
    what = f"dht22 gpio{pin}"
    try:
        climate = hardware.read_dht22(pin)
    except HarvesterError as e:
        # The pull-up: datasheet (Aosong AM2302) section 5.
        wiring = f"check its wiring: data to GPIO {pin}, and 10 kOhm from there to 3.3 V"
        return _unanswered(what, e, blocked_by, wiring)
    return ok(what, f"{climate.temperature_c:.1f} degC, {climate.humidity_pct:.1f} %RH")


def _unanswered(
    what: str, error: HarvesterError, blocked_by: Finding | None, wiring: str
) -> Finding:
    """Return the finding for a device that could not be asked, or did not answer well."""
    if isinstance(error, HardwareNotInstalledError) and blocked_by is not None:
        return missing(what, f"cannot be asked without {blocked_by.what}", blocked_by.mend)
    return missing(what, str(error), wiring)


def display(config: Config, address: str) -> str:
    """Return the controller that is set for a display, else the default of the plugin on it."""
    for name, grant in grants(config).items():
        if address not in grant.i2c:
            continue
        given = config.plugins.settings.get(name, {}).get(_CONTROLLER)
        found = given or _default_controller(plugin_file(config.plugins, name))
        if isinstance(found, str) and found:
            return found.lower()
    return "display"


def _default_controller(file: Path) -> object:
    try:
        said = plugin_description.read(file)
    except (BadDataError, OSError):
        # The plugin's own finding says it.
        return None
    setting = said.settings.get(_CONTROLLER)
    return setting.default if setting else None


def _users(config: Config, address: str) -> str:
    return ", ".join(name for name, grant in grants(config).items() if address in grant.i2c)
