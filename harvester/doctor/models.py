"""Checks of what the model of the machine can do at all, whatever is installed on it."""

from collections.abc import Iterator

from bus.config.key_types import SPI0_MOSI_PIN
from bus.config.settings import Config, pin_users
from harvester.doctor.finding import Finding, missing, ok
from harvester.doctor.machine import Machine
from harvester.doctor.needs import PCM_PINS, PWM_PINS, SPI_PINS, Facts
from node_agent.hal.real import dht22_iio, model
from node_agent.hal.real.board import strip_driver
from node_agent.hal.real.model import Model

_STRIP_BY_SPI = f"connect its data line to GPIO {SPI0_MOSI_PIN} and set leds.pin = {SPI0_MOSI_PIN}"


def facts(machine: Machine, config: Config) -> Facts:
    """Return what the machine decides of the configuration's needs."""
    pins = config.sensors.dht22_pins
    return Facts(
        model=model.read(machine.root),
        kernel_dht22_pins=frozenset(
            pin for pin in pins if dht22_iio.device(pin, machine.root) is not None
        ),
    )


def model_findings(config: Config, found: Model) -> Iterator[Finding]:
    """Yield the model, and what the configuration asks for that it cannot do."""
    if found.name:
        yield ok("machine", f"{found.name}{', a Revolution Pi' if found.is_revpi else ''}")
    if found.is_revpi:
        yield from _without_header(config)
    elif config.leds.count and config.leds.driver != "revpi":
        yield from _strip(config, found)


def _without_header(config: Config) -> Iterator[Finding]:
    for pin, key in sorted(pin_users(config).items()):
        found = f"{key}: the case of a Revolution Pi has no pins"
        mend = f"leave out {key.partition('[')[0]}"
        if key == "leds.pin":
            mend = 'set leds.driver = "revpi" for the LEDs on its front, or leds.count = 0'
        yield missing(f"gpio{pin}", found, mend)


def _strip(config: Config, found: Model) -> Iterator[Finding]:
    pin, driver = config.leds.pin, strip_driver(config.leds, found)
    what = f"strip gpio{pin}"
    if found.has_rp1 and driver == "ws281x":
        yield missing(
            what,
            "rpi_ws281x does not reach the pins of a Raspberry Pi 5",
            f'set leds.driver = "auto", and {_STRIP_BY_SPI}',
        )
    elif driver == "spi" and pin not in SPI_PINS:
        yield missing(what, "only SPI drives a strip on a Raspberry Pi 5", _STRIP_BY_SPI)
    elif pin not in PWM_PINS | PCM_PINS | SPI_PINS:
        yield missing(
            what,
            "this pin cannot drive a strip",
            "set leds.pin to 10 (SPI), 12, 13, 18 or 19 (PWM) or 21 (PCM)",
        )
