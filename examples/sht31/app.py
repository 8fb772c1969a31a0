"""SHT31 plugin: temperature in degC and relative humidity in %RH of the sensor at 0x44."""

import time

from componentize_py_types import Err
from driver import Sht31, Sht31Error, out_of_range
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import gpio_provider, i2c

ADDRESS = 0x44
SENSOR_ID = f"sht31-0x{ADDRESS:02x}"


def _transfer(write: bytes, read_len: int) -> bytes:
    return bytes.fromhex(i2c.transfer(ADDRESS, write.hex(), read_len))


class SensorLogic(exports.SensorLogic):
    def __init__(self) -> None:
        self._chip = Sht31(_transfer, time.sleep)

    def poll(self) -> list[Reading]:
        # The bus's own errors are an Err already, and pass through.
        try:
            measured = self._chip.measure()
        except Sht31Error as e:
            raise Err(f"{SENSOR_ID}: {e}") from e
        if reason := out_of_range(measured):
            raise Err(f"{SENSOR_ID}: {reason}")
        values = [("temperature", measured.temperature_c), ("humidity", measured.humidity_pct)]
        return [Reading(SENSOR_ID, gpio_provider.get_timestamp_ms(), values)]
