"""The SSD1306 at 0x3C: shows room temperature, air quality and the hub's CPU temperature."""

import time

from componentize_py_types import Err
from driver import Ssd1306
from faults import FaultLog
from font import compose
from screen import TITLE, screen_of
from wit_world import exports
from wit_world.imports import i2c

ADDRESS = 0x3C


def _transfer(write: bytes, read_len: int) -> bytes:
    return bytes.fromhex(i2c.transfer(ADDRESS, write.hex(), read_len))


class OledLogic(exports.OledLogic):
    def __init__(self) -> None:
        self._display = Ssd1306(_transfer)
        self._faults = FaultLog(f"ssd1306-0x{ADDRESS:02x}")

    def update(self, sensor_data: str) -> None:
        frame = compose(TITLE, screen_of(sensor_data).rows)
        try:
            self._display.show(frame)
        except Err as e:
            line = self._faults.failed(str(e.value), time.monotonic())
        else:
            line = self._faults.worked(time.monotonic())
        if line:
            print(line)
