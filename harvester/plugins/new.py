"""New plugin folders, from the templates of a kind; they build and run unchanged."""

import shutil
import tempfile
from pathlib import Path
from string import Template

import msgspec

from bus.config.settings import Config, pin_users
from bus.contract.topics import RESERVED_NAMES, is_name
from bus.errors import MisconfiguredError
from harvester.plugins.builder.contract import module_name

_ROOT = Path(__file__).parent / "templates"
_SUFFIX = ".template"
# Pins that no bus has (BCM2835 ARM Peripherals, section 6.2).
_PLAIN_PINS = (5, 6, 16, 17, 22, 23, 24, 25, 26, 27)
# A strip's first LED shows the node's heartbeat.
_FIRST_LED = 1


class Kind(msgspec.Struct, frozen=True):
    """A way to reach a sensor: the template's purpose, and the grants it needs beside its LED."""

    about: str
    grants: str


KINDS = {
    "i2c": Kind("Temperature and humidity from an SHT31 at 0x44.", 'i2c = ["0x44"]'),
    "uart": Kind("The satellites that a GPS receiver on the serial port uses.", "uart = true"),
    "spi": Kind("The voltage at two inputs of an MCP3008.", "spi = true"),
    "gpio": Kind("Temperature, humidity and dew point from a DHT22 on GPIO $pin.", "gpio = [$pin]"),
    "button": Kind(
        "Presses of a button on GPIO $button, as a count and as events.",
        "inputs = [$button]\nevents = true",
    ),
}


def make_plugin(
    plugins: Path, name: str, kind: str, config: Config, config_file: str
) -> list[Path]:
    """Make the folder `name` below `plugins` and return its files.

    LED, pin and README lines fit `config`; `config_file` is how the README calls that file.
    Raises MisconfiguredError where the name is invalid or taken.
    """
    target = plugins / name
    if not is_name(name):
        raise MisconfiguredError(
            f"plugins new: found {name!r}, expected up to 64 of a-z, 0-9 and dashes, and none of "
            f"{', '.join(sorted(RESERVED_NAMES))}"
        )
    if target.exists():
        raise MisconfiguredError(f"plugins new: {target} exists; expected a name that is free")
    values = _values(name, kind, config, config_file)
    plugins.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=plugins, prefix=".") as partial:
        made = Path(partial) / name
        made.mkdir()
        for template in _templates("common", kind):
            text = Template(template.read_text(encoding="utf-8")).substitute(values)
            (made / _file_name(template.name, name)).write_text(text, encoding="utf-8")
        shutil.move(made, target)
    return sorted(target.iterdir())


def _templates(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((_ROOT / folder).glob(f"*{_SUFFIX}"))]


def _file_name(template: str, name: str) -> str:
    plain = template.removesuffix(_SUFFIX)
    return f"test_{module_name(name)}.py" if plain == "test.py" else plain


def _values(name: str, kind: str, config: Config, config_file: str) -> dict[str, object]:
    led = _free_led(config)
    pin = next(iter(config.sensors.dht22_pins), 4)
    button = _free_pin(config)
    about, grants = KINDS[kind].about, KINDS[kind].grants
    enabled = [*config.plugins.enabled, name]
    return {
        "name": name,
        "led": led,
        "pin": pin,
        "button": button,
        "about": Template(about).substitute(pin=pin, button=button),
        "grants": f"{Template(grants).substitute(pin=pin, button=button)}\nleds = [{led}]",
        "enabled": msgspec.json.encode(enabled).decode().replace(",", ", "),
        "config": config_file,
    }


def _free_pin(config: Config) -> int:
    """Return the first plain pin that nothing else uses."""
    users = pin_users(config)
    return next((pin for pin in _PLAIN_PINS if pin not in users), _PLAIN_PINS[0])


def _free_led(config: Config) -> int:
    """Return the first LED that no plugin was granted, whether it is enabled or not."""
    taken = {led for grant in config.plugins.grants.values() for led in grant.leds}
    free = (led for led in range(_FIRST_LED, config.leds.count) if led not in taken)
    return next(free, _FIRST_LED)
