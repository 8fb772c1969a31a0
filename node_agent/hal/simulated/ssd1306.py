"""Simulated SSD1306 on the I2C bus: the decoder, power-on state and status register."""

import random

from node_agent.hal.ssd1306_decoder import HEIGHT, WIDTH, Frame, Ssd1306Decoder

__all__ = ["HEIGHT", "WIDTH", "Frame", "SimulatedSsd1306"]

_STATUS_DISPLAY_OFF = 0x40


class SimulatedSsd1306(Ssd1306Decoder):
    """One controller with its panel. Any thread may write and look."""

    def __init__(self, seed: int = 0) -> None:
        """Power on; `seed` chooses what the memory, undefined by the datasheet, holds then."""
        self._seed = seed
        super().__init__()

    def power_on(self) -> None:
        """Forget everything, with noise in the memory."""
        self._noise = random.Random(self._seed)
        super().power_on()

    def read(self, read_len: int) -> bytes:
        """Return the status register, as often as it is asked for (section 8.1.5.2)."""
        return bytes((0 if self._on else _STATUS_DISPLAY_OFF,)) * read_len

    def _fresh_page(self) -> bytearray:
        return bytearray(self._noise.randbytes(WIDTH))
