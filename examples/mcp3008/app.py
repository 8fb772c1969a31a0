"""MCP3008 plugin: the voltage at two of the converter's inputs, on the SPI bus."""

import json

from componentize_py_types import Err
from driver import Mcp3008, Mcp3008Error
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import gpio_provider, settings, spi

SENSOR_ID = "mcp3008"
# Values with the settings that hold their inputs, and the usual ones.
INPUTS = {"light-voltage": ("light_input", 0), "knob-voltage": ("knob_input", 1)}
# The Raspberry Pi's 3.3 V at VREF.
REFERENCE_V = 3.3


def _setting(key: str, default: float) -> float:
    text = settings.get(key)
    return default if text is None else float(json.loads(text))


class SensorLogic(exports.SensorLogic):
    def poll(self) -> list[Reading]:
        chip = Mcp3008(spi.transfer, _setting("reference_v", REFERENCE_V))
        # The bus's own errors are an Err already, and pass through.
        try:
            values = [(name, chip.volts(int(_setting(*where)))) for name, where in INPUTS.items()]
        except Mcp3008Error as e:
            raise Err(f"{SENSOR_ID}: {e}") from e
        return [Reading(SENSOR_ID, gpio_provider.get_timestamp_ms(), values)]
