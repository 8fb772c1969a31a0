"""Grants of plugins: the interfaces that they cover, and refusals. Pure."""

from collections.abc import Iterable, Mapping

from bus.config.key_types import FIRST_I2C_ADDRESS, LAST_I2C_ADDRESS
from bus.config.settings import Config, Grant

# The grants of which an interface needs one, and the line that gives it. All other interfaces need
# none: the clock and thermometer (a DHT22's pin has a grant of its own) and the machine's health.
_NEEDED = {
    "led-controller": (("leds",), "leds = [1]"),
    "buzzer-controller": (("buzzer",), "buzzer = true"),
    "fan-controller": (("fan",), "fan = true"),
    "i2c": (("i2c",), 'i2c = ["0x77"]'),
    "spi": (("spi",), "spi = true"),
    "uart": (("uart",), "uart = true"),
    "plugin-state": (("state",), "state = true"),
    "gpio": (("inputs", "outputs"), "inputs = [17]"),
    "readings": (("readings",), 'readings = ["pi4:dht22-gpio4"]'),
    "events": (("events",), "events = true"),
}


def needed(interfaces: Iterable[str]) -> dict[str, str]:
    """Return the grants that `interfaces` need: the key, and a line that may stand for it."""
    wanted = set(interfaces)
    return {keys[0]: line for interface, (keys, line) in _NEEDED.items() if interface in wanted}


# Grants of which only the plugin's author knows the values.
_OPEN = {
    "led-controller": "leds = [its LEDs]",
    "i2c": "i2c = [its addresses]",
    "gpio": "inputs = [its pins] or outputs = [its pins, each with a safe level]",
    "readings": "readings = [its sensors]",
}


def to_fill_in(interfaces: Iterable[str]) -> dict[str, str]:
    """Return the same with words for what only the plugin's author knows: `leds = [its LEDs]`."""
    wanted = set(interfaces)
    return {
        keys[0]: _OPEN.get(interface, line)
        for interface, (keys, line) in _NEEDED.items()
        if interface in wanted
    }


def missing(plugin: str, interfaces: list[str], grant: Grant) -> str:
    """Return what must be added to the configuration before `plugin` may load, or nothing.

    It names the interfaces that the plugin imports. Which LEDs and addresses it uses does not show
    before it calls; then `refusal` names them.
    """
    lines = {
        interface: _OPEN.get(interface, line)
        for interface, (keys, line) in _NEEDED.items()
        if interface in interfaces and not any(getattr(grant, key) for key in keys)
    }
    if not lines:
        return ""
    return (
        f"not granted: add {', '.join(lines.values())} to [plugins.grants.{plugin}], "
        f"since it imports {', '.join(lines)}"
    )


def refusal(plugin: str, line: str) -> str:
    """Return the sentence for a call that no grant covers, with the line that would cover it."""
    return f"not granted: add {line} to [plugins.grants.{plugin}]"


def i2c_refusal(plugin: str, address: int, users: Mapping[int, str]) -> str:
    """Return the sentence for a transfer with an address that is not the plugin's.

    `users` has the key of the configuration that grants each address: no other one may.
    """
    if not FIRST_I2C_ADDRESS <= address <= LAST_I2C_ADDRESS:
        return (
            f"i2c.transfer: addr: found 0x{address:02x}, expected a 7-bit address from "
            f"0x{FIRST_I2C_ADDRESS:02x} to 0x{LAST_I2C_ADDRESS:02x}"
        )
    if address in users:
        return f"not granted: i2c 0x{address:02x} belongs to {users[address]}"
    return refusal(plugin, f'i2c = ["0x{address:02x}"]')


def unread_sensors(config: Config) -> list[str]:
    """Return a sentence for each configured sensor that no enabled plugin may read."""
    grants = [config.plugins.grants.get(plugin, Grant()) for plugin in config.plugins.enabled]
    pins = {pin for grant in grants for pin in grant.gpio}
    addresses = {address for grant in grants for address in grant.i2c}
    sensors = config.sensors
    unread = [(f"dht22_pins: {pin}", "gpio") for pin in sensors.dht22_pins if pin not in pins]
    unread += [
        (f"bme680_addresses: {address}", "i2c")
        for address in sensors.bme680_addresses
        if address not in addresses
    ]
    return [
        f"sensors.{sensor} is not read: add it to {key} in [plugins.grants] of the plugin that "
        "reads such sensors"
        for sensor, key in unread
    ]
