"""SHT31 plugin: temperature in degC and relative humidity in %RH of the sensor at 0x44 or 0x45."""

import json
import time

from componentize_py_types import Err
from driver import Sht31, Sht31Error, out_of_range
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import gpio_provider, i2c, settings


def _setting(key: str, default: str) -> str:
    text = settings.get(key)
    return default if text is None else str(json.loads(text))


class SensorLogic(exports.SensorLogic):
    def __init__(self) -> None:
        self._address = 0
        self._chip = Sht31(self._transfer, time.sleep)

    def poll(self) -> list[Reading]:
        address = int(_setting("address", "0x44"), 16)
        if address != self._address:
            self._address, self._chip = address, Sht31(self._transfer, time.sleep)
        sensor_id = f"sht31-0x{address:02x}"
        # The bus's own errors are an Err already, and pass through.
        try:
            measured = self._chip.measure(_setting("repeatability", "high"))
        except Sht31Error as e:
            raise Err(f"{sensor_id}: {e}") from e
        if reason := out_of_range(measured):
            raise Err(f"{sensor_id}: {reason}")
        values = [("temperature", measured.temperature_c), ("humidity", measured.humidity_pct)]
        return [Reading(sensor_id, gpio_provider.get_timestamp_ms(), values)]

    def _transfer(self, write: bytes, read_len: int) -> bytes:
        return bytes.fromhex(i2c.transfer(self._address, write.hex(), read_len))
