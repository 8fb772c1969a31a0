"""A Raspberry Pi's hardware, wired up as the configuration says. Nothing is opened yet."""

from functools import partial

from bus.config.settings import Config, LedsConfig
from node_agent.hal.capabilities import Relay
from node_agent.hal.devices import Board, Strip
from node_agent.hal.dht22 import Dht22Sensors
from node_agent.hal.real import model
from node_agent.hal.real.dht22_iio import Dht22Reader
from node_agent.hal.real.gpio import RaspberryGpio
from node_agent.hal.real.i2c_bus import I2cBus
from node_agent.hal.real.model import Model
from node_agent.hal.real.relay import GpioRelay
from node_agent.hal.real.revpi.front_leds import FrontLeds
from node_agent.hal.real.revpi.pi_control import PiControl
from node_agent.hal.real.revpi.temperature import cpu_temperature_c
from node_agent.hal.real.serial_port import SerialPort
from node_agent.hal.real.spi_bus import SpiBus
from node_agent.hal.real.spi_strip import SpiStrip
from node_agent.hal.real.strip import Ws281xStrip


def open_raspberry_pi(config: Config) -> Board:
    """Return the hardware of `config`; a device or library that is missing raises when used."""
    hardware = config.hardware
    relays = ((Relay.BUZZER, config.buzzer), (Relay.FAN, config.fan))
    reader = Dht22Reader(config.sensors.dht22_driver)
    pi_control = PiControl()
    return Board(
        i2c=I2cBus(f"/dev/i2c-{hardware.i2c_bus}"),
        dht22=Dht22Sensors(config.sensors.dht22_pins, reader.read, release=reader.close),
        spi=SpiBus(hardware.spi_device),
        uart=SerialPort(hardware.uart_device),
        strip=open_strip(config.leds, model.read(), pi_control) if config.leds.count else None,
        relays={
            relay: GpioRelay(relay.value, table.pin, active_low=table.active_low)
            for relay, table in relays
            if table is not None
        },
        gpio=RaspberryGpio(),
        others=[pi_control],
        cpu_temperature_c=partial(cpu_temperature_c, pi_control),
    )


def open_strip(leds: LedsConfig, machine: Model, pi_control: PiControl) -> Strip:
    """Return the LEDs of the configuration by what drives them on this machine."""
    if leds.driver == "revpi":
        return FrontLeds(pi_control, leds.count)
    strip = SpiStrip if strip_driver(leds, machine) == "spi" else Ws281xStrip
    return strip(count=leds.count, pin=leds.pin, brightness=leds.brightness, order=leds.order)


def strip_driver(leds: LedsConfig, machine: Model) -> str:
    """Return the driver of the configuration, chosen by the machine where that is "auto".

    rpi_ws281x writes registers of the processor, which has no pins on a Raspberry Pi 5.
    """
    if leds.driver == "auto":
        return "spi" if machine.has_rp1 else "ws281x"
    return leds.driver
