"""Driver of the SSD1306 over I2C: sends a 128 x 64 picture, only what has changed.

It uses the standard library only. The bus is passed in as `transfer`, whose errors pass through.
Source: Solomon Systech SSD1306 datasheet rev 1.1, sections 8 (addressing), 9 and 10 (commands), and
its application note for the charge pump.
"""

from collections.abc import Callable, Iterator

WIDTH = 128
HEIGHT = 64
PAGES = HEIGHT // 8
FRAME_BYTES = WIDTH * PAGES

# Control bytes (8.1.5.2): all that follows in this transaction is commands, or is data.
_COMMANDS = 0x00
_DATA = 0x40

_DISPLAY_OFF = 0xAE
_DISPLAY_ON = 0xAF
_NOP = 0xE3
_COLUMN_ADDRESS = 0x21
_PAGE_ADDRESS = 0x22

# All settings that a power loss resets; the display stays off until it has a picture.
_INIT = bytes(
    [
        _DISPLAY_OFF,
        *(0xD5, 0x80),  # clock: divide by 1, default frequency
        *(0xA8, HEIGHT - 1),  # multiplex ratio
        *(0xD3, 0x00),  # no vertical offset
        0x40,  # start at line 0
        *(0x8D, 0x14),  # charge pump on: the panel has no other source of 7.5 V
        *(0x20, 0x00),  # horizontal addressing
        0xA1,  # column 127 is segment 0: these modules are mounted upside down,
        0xC8,  # and row 63 is common 0
        *(0xDA, 0x12),  # common pins: alternative, not remapped (128 x 64 panels)
        *(0x81, 0x7F),  # contrast: the reset value
        *(0xD9, 0xF1),  # pre-charge 1 and 15 clocks, as the note has it for the charge pump
        *(0xDB, 0x40),  # deselect level, likewise
        0x2E,  # no scrolling
        0xA4,  # show the memory
        0xA6,  # a 1 is a lit pixel
    ]
)

# Bytes of picture in one transaction: 3 ms at 100 kHz, so that other devices get their turn.
_CHUNK_BYTES = 32
# A display that was unplugged and plugged again between two updates has lost its picture, and no
# transfer has failed. So every so often all is sent anew: 5 min at a cycle of 2 s.
_REFRESH_AFTER = 150


class Ssd1306:
    """Driver of one display. After any error the next `show` sets it up and sends the whole frame.

    `transfer(write, read_len)` is one I2C transaction with the display.
    """

    def __init__(self, transfer: Callable[[bytes, int], bytes]) -> None:
        self._transfer = transfer
        self._shown: bytes | None = None
        self._since_refresh = 0

    def show(self, frame: bytes) -> None:
        """Put `frame` on the display: 1024 bytes, 8 pages of 128 columns, the lowest bit on top.

        Sends one full frame at most. Raises ValueError for a frame of another size, and whatever
        `transfer` raises.
        """
        if len(frame) != FRAME_BYTES:
            raise ValueError(f"a frame has {FRAME_BYTES} bytes, found {len(frame)}")
        # Unknown until the whole frame has arrived.
        shown, self._shown = self._shown, None
        self._since_refresh += 1
        if shown is None or self._since_refresh >= _REFRESH_AFTER:
            self._start(frame)
        else:
            self._send_changes(shown, frame)
        self._shown = frame

    def _start(self, frame: bytes) -> None:
        self._command(*_INIT)
        self._send_window(0, PAGES - 1, 0, WIDTH - 1, frame)
        self._command(_DISPLAY_ON)
        self._since_refresh = 0

    def _send_changes(self, shown: bytes, frame: bytes) -> None:
        changes = list(_changed_spans(shown, frame))
        for page, first, last in changes:
            at = page * WIDTH
            self._send_window(page, page, first, last, frame[at + first : at + last + 1])
        if not changes:
            self._command(_NOP)  # notices a display that is gone

    def _send_window(
        self, first_page: int, last_page: int, first: int, last: int, data: bytes
    ) -> None:
        self._command(_COLUMN_ADDRESS, first, last, _PAGE_ADDRESS, first_page, last_page)
        for at in range(0, len(data), _CHUNK_BYTES):
            self._transfer(bytes([_DATA]) + data[at : at + _CHUNK_BYTES], 0)

    def _command(self, *commands: int) -> None:
        self._transfer(bytes([_COMMANDS, *commands]), 0)


def _changed_spans(shown: bytes, frame: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield page, first and last column of what differs, one span a page."""
    for page in range(PAGES):
        at = page * WIDTH
        differing = [x for x in range(WIDTH) if shown[at + x] != frame[at + x]]
        if differing:
            yield page, differing[0], differing[-1]
