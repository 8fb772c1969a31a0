"""Checks of config.txt, by which the firmware of a Raspberry Pi sets up pins before Linux."""

from collections.abc import Iterator
from pathlib import Path

from bus.config.settings import Config, enabled_outputs
from harvester.doctor.finding import Finding, advice, missing, ok
from harvester.doctor.machine import Machine, is_there
from harvester.doctor.needs import Facts
from harvester.doctor.system import text
from node_agent.hal.real.dht22_iio import overlay

# Raspberry Pi OS since Debian 12, and before.
_FILES = ("/boot/firmware/config.txt", "/boot/config.txt")


def boot_findings(machine: Machine, config: Config, found: Facts) -> Iterator[Finding]:
    """Yield the lines of config.txt that sensors and relays want; none on another machine."""
    file = next((name for name in _FILES if is_there(machine.path(name))), None)
    yield from dht22_findings(config, found, file)
    if file is not None:
        yield from relay_findings(config, machine.path(file), file)


def dht22_findings(config: Config, found: Facts, file: str | None) -> Iterator[Finding]:
    """Yield what reads each DHT22: the kernel, or a library that misses bits on a busy machine."""
    driver = config.sensors.dht22_driver
    for pin in config.sensors.dht22_pins if driver != "adafruit" else []:
        what = f"kernel driver dht11 gpio{pin}"
        mend = _append(file or _FILES[0], overlay(pin))
        if pin in found.kernel_dht22_pins:
            yield ok(what, "reads the DHT22")
        elif driver == "iio":
            yield missing(what, "not set up, which sensors.dht22_driver asks for", mend)
        elif file is not None:
            yield advice(what, "not set up; it misses no bit on a busy machine", mend)


def relay_findings(config: Config, path: Path, file: str) -> Iterator[Finding]:
    """Yield the relay pins that float from power-on until the agent starts.

    `gpio=17=op,dh` makes a pin an output, driven high (Raspberry Pi documentation, "GPIO control").
    """
    levels = safe_levels(config)
    driven = _driven_pins(path)
    floating = {pin: high for pin, high in levels.items() if driven.get(pin) is not high}
    if not floating:
        if levels:
            yield ok("outputs at boot", f"{file} drives {_names(levels)} at their safe levels")
        return
    found = f"{_names(floating)} at no safe level until the agent starts"
    lines = (_gpio_line(floating, high=high) for high in (True, False))
    yield advice("outputs at boot", found, _append(file, *(line for line in lines if line)))


def safe_levels(config: Config) -> dict[int, bool]:
    """Return the level of each relay's and output's pin at which nothing is switched on."""
    relays = (table for table in (config.buzzer, config.fan) if table is not None)
    found = {relay.pin: relay.active_low for relay in relays}
    return found | {output.pin: output.is_safe_high for output in enabled_outputs(config)}


def _gpio_line(levels: dict[int, bool], *, high: bool) -> str:
    pins = ",".join(str(pin) for pin in sorted(levels) if levels[pin] is high)
    return f"gpio={pins}=op,{'dh' if high else 'dl'}" if pins else ""


def _append(file: str, *lines: str) -> str:
    """Return the command that adds lines for every model; the file may end in a section of one."""
    joined = "\\n".join(("[all]", *lines))
    return f"printf '\\n{joined}\\n' | sudo tee -a {file} && sudo reboot"


def _driven_pins(path: Path) -> dict[int, bool]:
    """Return the outputs of a config.txt, with their level; later lines win."""
    driven: dict[int, bool] = {}
    for line in text(path).splitlines():
        key, _, rest = line.partition("#")[0].strip().partition("=")
        pins, _, options = rest.partition("=")
        words = options.split(",")
        if key == "gpio" and "op" in words and {"dh", "dl"} & {*words}:
            driven |= dict.fromkeys(_pins(pins), "dh" in words)
    return driven


def _pins(listed: str) -> list[int]:
    """Return the pins of a list such as "4,17-18"."""
    found: list[int] = []
    for part in listed.split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            found += range(int(first), min(int(last or first), 53) + 1)
    return found


def _names(pins: dict[int, bool]) -> str:
    return ", ".join(f"gpio{pin}" for pin in sorted(pins))
