"""Simulated displays on the I2C bus: the decoders, power-on state and status register."""

import random
from typing import Literal

from node_agent.hal.display.controller import HEIGHT, WIDTH, ControllerDecoder, Frame
from node_agent.hal.display.sh1106 import Sh1106Decoder
from node_agent.hal.display.ssd1306 import Ssd1306Decoder

__all__ = [
    "HEIGHT",
    "WIDTH",
    "Controller",
    "Frame",
    "SimulatedDisplay",
    "SimulatedSh1106",
    "SimulatedSsd1306",
    "make_display",
]

Controller = Literal["SSD1306", "SH1106"]
_STATUS_DISPLAY_OFF = 0x40


class SimulatedDisplay(ControllerDecoder):
    """A controller with its panel, wired to the bus. Any thread may write and look."""

    def __init__(self, seed: int = 0, panel_rows: int = HEIGHT) -> None:
        """Power on; `seed` chooses what the memory, undefined by the datasheet, holds then."""
        self._seed = seed
        super().__init__(panel_rows)

    def power_on(self) -> None:
        """Forget everything, with noise in the memory."""
        self._noise = random.Random(self._seed)
        super().power_on()

    def read(self, read_len: int) -> bytes:
        """Return the status register, as often as it is asked for (SSD1306 section 8.1.5.2)."""
        return bytes((0 if self._on else _STATUS_DISPLAY_OFF,)) * read_len

    def _fresh_page(self) -> bytearray:
        return bytearray(self._noise.randbytes(self.ram_columns))


class SimulatedSsd1306(SimulatedDisplay, Ssd1306Decoder):
    """Simulated SSD1306."""


class SimulatedSh1106(SimulatedDisplay, Sh1106Decoder):
    """Simulated SH1106."""


def make_display(controller: Controller, panel_rows: int, seed: int) -> SimulatedDisplay:
    made = SimulatedSh1106 if controller == "SH1106" else SimulatedSsd1306
    return made(seed, panel_rows)
