"""The SSD1306 at 0x3C: shows room temperature, air quality and the hub's CPU temperature."""

import time

from componentize_py_types import Err
from driver import FRAME_BYTES, WIDTH, Ssd1306
from faults import FaultLog
from font import draw, draw_line, width
from screen import TITLE, Screen, screen_of
from wit_world import exports
from wit_world.imports import i2c

ADDRESS = 0x3C


def _transfer(write: bytes, read_len: int) -> bytes:
    return bytes.fromhex(i2c.transfer(ADDRESS, write.hex(), read_len))


def _frame_of(screen: Screen) -> bytes:
    """Lay the screen out: a title above a line, then label and value, twice as large, in rows."""
    frame = bytearray(FRAME_BYTES)
    draw(frame, (WIDTH - width(TITLE)) // 2, 0, TITLE)
    draw_line(frame, 10)
    rows = (("ROOM", screen.room), ("IAQ", screen.iaq), ("HUB CPU", screen.hub_cpu))
    for index, (label, value) in enumerate(rows):
        top = 14 + index * 17
        draw(frame, 0, top + 7, label)
        draw(frame, WIDTH - width(value, scale=2), top, value, scale=2)
    return bytes(frame)


class OledLogic(exports.OledLogic):
    def __init__(self) -> None:
        self._display = Ssd1306(_transfer)
        self._faults = FaultLog(f"ssd1306-0x{ADDRESS:02x}")

    def update(self, sensor_data: str) -> None:
        frame = _frame_of(screen_of(sensor_data))
        try:
            self._display.show(frame)
        except Err as e:
            line = self._faults.failed(str(e.value), time.monotonic())
        else:
            line = self._faults.worked(time.monotonic())
        if line:
            print(line)
