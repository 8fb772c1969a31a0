"""A Raspberry Pi's hardware, wired up as the configuration says. Nothing is opened yet."""

from bus.config.settings import Config
from node_agent.hal.capabilities import Relay
from node_agent.hal.devices import Board
from node_agent.hal.dht22 import Dht22Sensors
from node_agent.hal.real import dht22_wire
from node_agent.hal.real.gpio import RaspberryGpio
from node_agent.hal.real.i2c_bus import I2cBus
from node_agent.hal.real.relay import GpioRelay
from node_agent.hal.real.serial_port import SerialPort
from node_agent.hal.real.spi_bus import SpiBus
from node_agent.hal.real.strip import Ws281xStrip


def open_raspberry_pi(config: Config) -> Board:
    """Return the hardware of `config`; a device or library that is missing raises when used."""
    leds, hardware = config.leds, config.hardware
    relays = ((Relay.BUZZER, config.buzzer), (Relay.FAN, config.fan))
    return Board(
        i2c=I2cBus(f"/dev/i2c-{hardware.i2c_bus}"),
        dht22=Dht22Sensors(config.sensors.dht22_pins, dht22_wire.read_wire),
        spi=SpiBus(hardware.spi_device),
        uart=SerialPort(hardware.uart_device),
        strip=(
            Ws281xStrip(
                count=leds.count, pin=leds.pin, brightness=leds.brightness, order=leds.order
            )
            if leds.count
            else None
        ),
        relays={
            relay: GpioRelay(relay.value, table.pin, active_low=table.active_low)
            for relay, table in relays
            if table is not None
        },
        gpio=RaspberryGpio(),
    )
