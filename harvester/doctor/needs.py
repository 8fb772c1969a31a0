"""Table of the interfaces to hardware that a configuration needs. Pure: it looks at no machine."""

from typing import Literal

import msgspec

from bus.config.key_types import SPI0_MOSI_PIN
from bus.config.settings import Config, Grant
from bus.install import assets
from node_agent.hal.real.board import strip_driver
from node_agent.hal.real.model import Model
from node_agent.hal.real.revpi.pi_control import DEVICE as PI_CONTROL

Role = Literal["hub", "spoke", "pizero"]


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """One interface to hardware. Of each tuple in `devices`, one file is enough.

    `turn_on` is the command that creates the device files, `open_up` the one that lets this user
    open them where joining `group` does not.
    """

    devices: tuple[tuple[str, ...], ...]
    group: str = ""
    modules: tuple[str, ...] = ()
    libraries: tuple[str, ...]
    turn_on: str
    open_up: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about the machine on which it depends what a configuration needs."""

    model: Model = Model()
    # Pins whose DHT22 the kernel reads.
    kernel_dht22_pins: frozenset[int] = frozenset()


# Pins by the way in which rpi_ws281x drives a strip there (its README, "GPIO usage").
PWM_PINS = frozenset((12, 13, 18, 19))
PCM_PINS = frozenset((21,))
SPI_PINS = frozenset((SPI0_MOSI_PIN,))


def _as_root(unit: str) -> str:
    return (
        f"sudo install -D -m 644 {assets.root() / 'deploy' / 'harvester-agent-pwm.conf'} "
        f"/etc/systemd/system/{unit}.service.d/pwm.conf"
    )


_SPI_ON = "sudo raspi-config nonint do_spi 0"
_HEADER_ON = "run this on a Raspberry Pi with Linux 5.10 or later"
# The lines of the header; on a Raspberry Pi 5 their number depends on the kernel's version.
_GPIO = (("/dev/gpiochip0", "/dev/gpiochip4"),)

GPIO = Interface(devices=_GPIO, group="gpio", libraries=("gpiod",), turn_on=_HEADER_ON)
DHT22 = Interface(
    devices=_GPIO, group="gpio", libraries=("board", "adafruit_dht"), turn_on=_HEADER_ON
)
STRIP_BY_DMA = Interface(
    devices=(("/dev/mem",), ("/dev/vcio",)),
    libraries=("rpi_ws281x",),
    turn_on="sudo apt install linux-image-rpi-v8 && sudo reboot",
    open_up=_as_root("harvester-agent@"),
)
_STRIP_SPI = (("/dev/spidev0.0",),)
STRIP_BY_SPI = Interface(
    devices=_STRIP_SPI,
    group="spi",
    modules=("spidev",),
    libraries=("rpi_ws281x",),
    turn_on=_SPI_ON,
)
STRIP_BY_SPIDEV = Interface(
    devices=_STRIP_SPI,
    group="spi",
    modules=("spidev",),
    libraries=("spidev",),
    turn_on=_SPI_ON,
)
FRONT_LEDS = Interface(
    devices=((PI_CONTROL,),),
    libraries=(),
    turn_on="run this on a Revolution Pi, or set leds.count = 0",
)


def runs_plugins(config: Config, role: Role) -> bool:
    """Whether the node is a plugin host, which a Pi Zero may be."""
    return role != "pizero" or config.cluster.service == "plugin-host"


def interfaces(config: Config, role: Role, facts: Facts | None = None) -> list[Interface]:
    """Return what the programs of `role` open on a real machine."""
    facts = facts or Facts()
    if not runs_plugins(config, role):
        return [i2c(config)] if config.sensors.bme680_addresses else []
    granted = grants(config).values()
    wanted = {
        i2c(config): bool(i2c_addresses(config)),
        spi(config): any(grant.spi for grant in granted),
        uart(config): any(grant.uart for grant in granted),
        GPIO: bool(config.buzzer or config.fan or any(g.inputs or g.outputs for g in granted)),
        DHT22: bool(_adafruit_pins(config, facts)),
    }
    found = [interface for interface, needed in wanted.items() if needed]
    return [*found, *_strip(config, role, facts)]


def _strip(config: Config, role: Role, facts: Facts) -> list[Interface]:
    driver = strip_driver(config.leds, facts.model)
    if not config.leds.count:
        return []
    if driver == "revpi":
        return [FRONT_LEDS]
    if driver == "spi":
        return [STRIP_BY_SPIDEV]
    by_dma = STRIP_BY_DMA
    if role == "pizero":
        by_dma = msgspec.structs.replace(by_dma, open_up=_as_root("harvester-pizero"))
    by_pin = {STRIP_BY_SPI: SPI_PINS, by_dma: PWM_PINS | PCM_PINS}
    return [interface for interface, pins in by_pin.items() if config.leds.pin in pins]


def _adafruit_pins(config: Config, facts: Facts) -> set[int]:
    """Return the pins whose DHT22 a library reads."""
    if config.sensors.dht22_driver == "iio":
        return set()
    in_kernel = facts.kernel_dht22_pins if config.sensors.dht22_driver == "auto" else ()
    return {*config.sensors.dht22_pins} - {*in_kernel}


def grants(config: Config) -> dict[str, Grant]:
    """Return what each enabled plugin may touch."""
    return {name: config.plugins.grants.get(name, Grant()) for name in config.plugins.enabled}


def i2c_addresses(config: Config) -> list[str]:
    """Return every address that the node's own sensors and its plugins use, in order."""
    own = (*config.sensors.bme680_addresses, *config.hardware.ssd1306_addresses)
    granted = (address for grant in grants(config).values() for address in grant.i2c)
    return sorted({*own, *granted})


def has_strip(config: Config, pins: frozenset[int]) -> bool:
    """Whether the node has an LED strip, on one of `pins`."""
    leds = config.leds
    return leds.count > 0 and leds.driver != "revpi" and leds.pin in pins


def i2c(config: Config) -> Interface:
    return Interface(
        devices=((f"/dev/i2c-{config.hardware.i2c_bus}",),),
        group="i2c",
        modules=("i2c_dev",),
        libraries=("smbus2",),
        turn_on="sudo raspi-config nonint do_i2c 0",
    )


def spi(config: Config) -> Interface:
    return Interface(
        devices=((f"/dev/spidev{config.hardware.spi_device}",),),
        group="spi",
        modules=("spidev",),
        libraries=("spidev",),
        turn_on=_SPI_ON,
    )


def uart(config: Config) -> Interface:
    return Interface(
        devices=((config.hardware.uart_device,),),
        group="dialout",
        libraries=("serial",),
        turn_on="sudo raspi-config nonint do_serial_hw 0",
    )
