"""Drivers of the SSD1306 and the SH1106 over I2C: send a picture, only what has changed.

They use the standard library only. The bus is passed in as `transfer`, whose errors pass through.
Sources: Solomon Systech SSD1306 datasheet rev 1.1, sections 8 (addressing), 9 and 10 (commands),
and its application note for the charge pump; Sino Wealth SH1106 datasheet V2.3, "Commands".
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

WIDTH = 128
HEIGHT = 64
FRAME_BYTES = WIDTH * HEIGHT // 8

# Control bytes (8.1.5.2): all that follows in this transaction is commands, or is data.
_COMMANDS = 0x00
_DATA = 0x40

_DISPLAY_OFF = 0xAE
_DISPLAY_ON = 0xAF
_NOP = 0xE3

# Bytes of picture in one transaction: 3 ms at 100 kHz, so that other devices get their turn.
_CHUNK_BYTES = 32
# A display that was unplugged and plugged again between two updates has lost its picture, and no
# transfer has failed. So every so often all is sent anew: 5 min at a cycle of 2 s.
_REFRESH_AFTER = 150


@dataclass(frozen=True)
class Panel:
    """Panel of a display: 64 or 32 rows, contrast from 0 to 255, turned by 180 degrees or not.

    The contrast is the SSD1306's reset value.
    """

    height: int = HEIGHT
    contrast: int = 0x7F
    is_flipped: bool = False

    @property
    def frame_bytes(self) -> int:
        return WIDTH * self.height // 8


class _Display(ABC):
    """Driver of one display. After any error the next `show` sets it up and sends the whole frame.

    `transfer(write, read_len)` is one I2C transaction with the display.
    """

    def __init__(self, transfer: Callable[[bytes, int], bytes], panel: Panel | None = None) -> None:
        self._transfer = transfer
        self._panel = panel or Panel()
        self._shown: bytes | None = None
        self._since_refresh = 0

    def show(self, frame: bytes) -> None:
        """Put `frame` on the display: a page of 128 columns for 8 rows, the lowest bit on top.

        Sends one full frame at most. Raises ValueError for a frame of another size, and whatever
        `transfer` raises.
        """
        if len(frame) != self._panel.frame_bytes:
            raise ValueError(f"a frame has {self._panel.frame_bytes} bytes, found {len(frame)}")
        # Unknown until the whole frame has arrived.
        shown, self._shown = self._shown, None
        self._since_refresh += 1
        if shown is None or self._since_refresh >= _REFRESH_AFTER:
            self._start(frame)
        else:
            self._send_changes(shown, frame)
        self._shown = frame

    def switch_off(self) -> None:
        """Darken the display until the next `show`."""
        self._shown = None
        self._command(_DISPLAY_OFF)

    def _start(self, frame: bytes) -> None:
        # The display stays off until it has a picture.
        self._command(_DISPLAY_OFF, *self._set_up(), *self._common_set_up())
        self._send_frame(frame)
        self._command(_DISPLAY_ON)
        self._since_refresh = 0

    def _send_changes(self, shown: bytes, frame: bytes) -> None:
        changes = list(_changed_spans(shown, frame))
        for page, first, last in changes:
            at = page * WIDTH
            self._send_columns(page, first, frame[at + first : at + last + 1])
        if not changes:
            self._command(_NOP)  # notices a display that is gone

    @abstractmethod
    def _set_up(self) -> Iterator[int]:
        """Yield the controller's own commands, for what a power loss resets."""

    @abstractmethod
    def _send_columns(self, page: int, first: int, data: bytes) -> None:
        """Send the columns of a page from `first` on."""

    @abstractmethod
    def _send_frame(self, frame: bytes) -> None: ...

    def _common_set_up(self) -> Iterator[int]:
        """Yield the commands that both controllers have, for what a power loss resets."""
        panel = self._panel
        yield from (0xD5, 0x80)  # clock: divide by 1, default frequency
        yield from (0xA8, panel.height - 1)  # multiplex ratio
        yield from (0xD3, 0x00)  # no vertical offset
        yield 0x40  # start at line 0
        # These modules are mounted upside down: the last column is segment 0, and the last row
        # common 0.
        yield from (0xA0, 0xC0) if panel.is_flipped else (0xA1, 0xC8)
        # Common pins, not remapped: alternative on panels of 64 rows, sequential on those of 32.
        yield from (0xDA, 0x12 if panel.height == HEIGHT else 0x02)
        yield from (0x81, panel.contrast)
        yield 0xA4  # show the memory
        yield 0xA6  # a 1 is a lit pixel

    def _send_data(self, data: bytes) -> None:
        for at in range(0, len(data), _CHUNK_BYTES):
            self._transfer(bytes([_DATA]) + data[at : at + _CHUNK_BYTES], 0)

    def _command(self, *commands: int) -> None:
        self._transfer(bytes([_COMMANDS, *commands]), 0)


class Ssd1306(_Display):
    """SSD1306: fills a window of pages and columns."""

    def _set_up(self) -> Iterator[int]:
        yield from (0x8D, 0x14)  # charge pump on: the panel has no other source of 7.5 V
        yield from (0x20, 0x00)  # horizontal addressing
        yield from (0xD9, 0xF1)  # pre-charge 1 and 15 clocks, as the note has it for the pump
        yield from (0xDB, 0x40)  # deselect level, likewise
        yield 0x2E  # no scrolling

    def _send_columns(self, page: int, first: int, data: bytes) -> None:
        self._command(0x21, first, first + len(data) - 1, 0x22, page, page)
        self._send_data(data)

    def _send_frame(self, frame: bytes) -> None:
        self._command(0x21, 0, WIDTH - 1, 0x22, 0, self._panel.height // 8 - 1)
        self._send_data(frame)


class Sh1106(_Display):
    """SH1106: has page addressing only, and memory for 132 columns.

    Panels of 128 columns are in the middle of them, whichever way they are turned.
    """

    _FIRST_COLUMN = 2

    def _set_up(self) -> Iterator[int]:
        yield from (0xAD, 0x8B)  # DC-DC converter on, for the panel's voltage
        yield 0x32  # which is 8.0 V: the reset value, as are the next two
        yield from (0xD9, 0x22)  # pre-charge and discharge 2 clocks each
        yield from (0xDB, 0x35)  # deselect level

    def _send_columns(self, page: int, first: int, data: bytes) -> None:
        column = first + self._FIRST_COLUMN
        self._command(0xB0 | page, column & 0x0F, 0x10 | column >> 4)
        self._send_data(data)

    def _send_frame(self, frame: bytes) -> None:
        for page in range(self._panel.height // 8):
            self._send_columns(page, 0, frame[page * WIDTH : (page + 1) * WIDTH])


def _changed_spans(shown: bytes, frame: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield page, first and last column of what differs, one span a page."""
    for page in range(len(frame) // WIDTH):
        at = page * WIDTH
        differing = [x for x in range(WIDTH) if shown[at + x] != frame[at + x]]
        if differing:
            yield page, differing[0], differing[-1]
