"""OLED plugin: room temperature, air quality and the hub's CPU heat on the SSD1306 at 0x3C."""

import time

from componentize_py_types import Err
from driver import Ssd1306
from faults import FaultLog
from font import compose
from poll_deadline import DeadlineExceededError, PollDeadline
from screen import TITLE, screen_of
from wit_world import exports
from wit_world.imports import i2c

ADDRESS = 0x3C


class OledLogic(exports.OledLogic):
    def __init__(self) -> None:
        self._display = Ssd1306(self._transfer)
        self._deadline = PollDeadline()
        self._faults = FaultLog(f"ssd1306-0x{ADDRESS:02x}")

    def update(self, sensor_data: str) -> None:
        frame = compose(TITLE, screen_of(sensor_data).rows)
        self._deadline.begin(time.monotonic())
        try:
            self._display.show(frame)
        except (DeadlineExceededError, Err) as e:
            reason = str(e.value) if isinstance(e, Err) else str(e)
            line = self._faults.failed(reason, time.monotonic())
        else:
            line = self._faults.worked(time.monotonic())
        if line:
            print(line)

    def _transfer(self, write: bytes, read_len: int) -> bytes:
        self._deadline.check(time.monotonic())
        return bytes.fromhex(i2c.transfer(ADDRESS, write.hex(), read_len))
