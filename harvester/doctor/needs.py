"""Table of the interfaces to hardware that a configuration needs. Pure: it looks at no machine."""

from typing import Literal

import msgspec

from bus.config.settings import Config, Grant
from bus.install import assets

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


# Pins by the way in which rpi_ws281x drives a strip there (its README, "GPIO usage").
PWM_PINS = frozenset((12, 13, 18, 19))
PCM_PINS = frozenset((21,))
SPI_PINS = frozenset((10,))

_SPI_ON = "sudo raspi-config nonint do_spi 0"
# The module's name depends on the kernel's version.
_GPIO_ON = "sudo modprobe raspberrypi-gpiomem || sudo modprobe bcm2835-gpiomem"
_AS_ROOT = (
    f"sudo install -D -m 644 {assets.root() / 'deploy' / 'harvester-agent-pwm.conf'} "
    "/etc/systemd/system/harvester-agent@.service.d/pwm.conf"
)
_GPIO = (("/dev/gpiomem", "/dev/gpiochip0"),)

GPIO = Interface(devices=_GPIO, group="gpio", libraries=("RPi.GPIO",), turn_on=_GPIO_ON)
DHT22 = Interface(
    devices=_GPIO, group="gpio", libraries=("board", "adafruit_dht"), turn_on=_GPIO_ON
)
STRIP_BY_DMA = Interface(
    devices=(("/dev/mem",), ("/dev/vcio",)),
    libraries=("rpi_ws281x",),
    turn_on="sudo apt install linux-image-rpi-v8 && sudo reboot",
    open_up=_AS_ROOT,
)
STRIP_BY_SPI = Interface(
    devices=(("/dev/spidev0.0",),),
    group="spi",
    modules=("spidev",),
    libraries=("rpi_ws281x",),
    turn_on=_SPI_ON,
)


def interfaces(config: Config, role: Role) -> list[Interface]:
    """Return what the programs of `role` open on a real machine."""
    if role == "pizero":
        return [i2c(config)] if config.sensors.bme680_addresses else []
    granted = grants(config).values()
    wanted = {
        i2c(config): bool(i2c_addresses(config)),
        spi(config): any(grant.spi for grant in granted),
        uart(config): any(grant.uart for grant in granted),
        GPIO: bool(config.buzzer or config.fan or any(g.inputs or g.outputs for g in granted)),
        DHT22: bool(config.sensors.dht22_pins),
        STRIP_BY_SPI: has_strip(config, SPI_PINS),
        STRIP_BY_DMA: has_strip(config, PWM_PINS | PCM_PINS),
    }
    return [interface for interface, needed in wanted.items() if needed]


def grants(config: Config) -> dict[str, Grant]:
    """Return what each enabled plugin may touch."""
    return {name: config.plugins.grants.get(name, Grant()) for name in config.plugins.enabled}


def i2c_addresses(config: Config) -> list[str]:
    """Return every address that the node's own sensors and its plugins use, in order."""
    own = (*config.sensors.bme680_addresses, *config.hardware.ssd1306_addresses)
    granted = (address for grant in grants(config).values() for address in grant.i2c)
    return sorted({*own, *granted})


def has_strip(config: Config, pins: frozenset[int]) -> bool:
    return config.leds.count > 0 and config.leds.pin in pins


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
