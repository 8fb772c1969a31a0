"""Display tap: follows the I2C writes to a display and keeps the picture that it shows."""

import threading
from collections.abc import Callable
from typing import NamedTuple

from node_agent.hal.display.controller import HEIGHT, WIDTH, Frame
from node_agent.hal.display.sh1106 import Sh1106Decoder
from node_agent.hal.display.ssd1306 import Ssd1306Decoder

__all__ = ["HEIGHT", "WIDTH", "DisplayTap", "Picture"]

Transfer = Callable[[int, bytes, int], bytes]


class Picture(NamedTuple):
    """Picture on the display: rows from the top, 8 pixels a byte, leftmost in the highest bit."""

    on: bool
    frame: bytes

    @property
    def height(self) -> int:
        """Rows of the picture."""
        return len(self.frame) * 8 // WIDTH


class DisplayTap:
    """Passes I2C transfers on and follows those to the display. Any thread may call.

    Neither controller nor size has to be told: the commands that supply the panel with its voltage
    show which controller they are meant for, and the multiplex ratio how many rows there are.
    """

    def __init__(self, address: int, transfer: Transfer) -> None:
        self._address = address
        self._transfer = transfer
        self._ssd1306 = Ssd1306Decoder(panel_rows=None)
        self._sh1106 = Sh1106Decoder(panel_rows=None)
        self._decoder: Ssd1306Decoder | Sh1106Decoder = self._ssd1306
        # One writer at a time: bytes are decoded in the order in which the display gets them.
        self._writing = threading.Lock()
        self._answers: bool | None = None

    def i2c_transfer(self, address: int, data: bytes, read_len: int) -> bytes:
        """Do as `Hardware.i2c_transfer` does, and raise what it raises."""
        if address != self._address:
            return self._transfer(address, data, read_len)
        with self._writing:
            try:
                answer = self._transfer(address, data, read_len)
            except BaseException:
                self._answers = False
                raise
            self._decode(data)
            self._answers = True
            return answer

    def seen(self) -> Picture | None:
        """Return the picture, None before anything was sent. Never waits for a transfer.

        A display that does not answer shows nothing as far as anyone can tell.
        """
        if self._answers is None:
            return None
        decoder = self._decoder
        if not (self._answers and decoder.lit):
            return Picture(on=False, frame=bytes(WIDTH // 8 * decoder.height))
        return Picture(on=True, frame=_packed(decoder.frame()))

    def _decode(self, data: bytes) -> None:
        for decoder in (self._ssd1306, self._sh1106):
            before = decoder.pump_settings
            decoder.write(data)
            if decoder.pump_settings != before:
                self._decoder = decoder


def _packed(frame: Frame) -> bytes:
    bits = "".join("1" if pixel else "0" for row in frame for pixel in row)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
