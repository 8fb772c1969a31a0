"""MCP3008 plugin: the voltage at the converter's first two inputs, on the SPI bus."""

from componentize_py_types import Err
from driver import Mcp3008, Mcp3008Error
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import gpio_provider, spi

SENSOR_ID = "mcp3008"
# The Raspberry Pi's 3.3 V at VREF.
REFERENCE_V = 3.3
INPUTS = {"light-voltage": 0, "knob-voltage": 1}


class SensorLogic(exports.SensorLogic):
    def __init__(self) -> None:
        self._chip = Mcp3008(spi.transfer, REFERENCE_V)

    def poll(self) -> list[Reading]:
        # The bus's own errors are an Err already, and pass through.
        try:
            values = [(name, self._chip.volts(channel)) for name, channel in INPUTS.items()]
        except Mcp3008Error as e:
            raise Err(f"{SENSOR_ID}: {e}") from e
        return [Reading(SENSOR_ID, gpio_provider.get_timestamp_ms(), values)]
