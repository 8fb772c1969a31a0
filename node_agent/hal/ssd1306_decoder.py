"""SSD1306 decoder: takes the bytes of I2C writes and returns the picture that the panel shows.

After the datasheet (Solomon Systech SSD1306 rev 1.1, sections 8.1.5, 9 and 10). It knows no bus, so
it can follow what is sent to a real display as well, from any byte on. Panels are 128 x 64, mounted
the usual way: segment remap (0xA1) and a reversed scan (0xC8) put column 0 of page 0 at the top
left.
"""

import enum
import threading
from collections.abc import Callable

WIDTH = 128
HEIGHT = 64
PAGES = HEIGHT // 8

_CONTROL_CONTINUES = 0x80
_CONTROL_IS_DATA = 0x40
# A module is fed 3.3 V: without its charge pump the panel stays dark (application note, section 2).
_CHARGE_PUMP_ON = 0x04

# Commands that are followed by arguments, and by how many (section 9, table 9-1).
_ARGUMENTS = {
    0x20: 1,
    0x21: 2,
    0x22: 2,
    0x26: 6,
    0x27: 6,
    0x29: 5,
    0x2A: 5,
    0x81: 1,
    0x8D: 1,
    0xA3: 2,
    0xA8: 1,
    0xD3: 1,
    0xD5: 1,
    0xD9: 1,
    0xDA: 1,
    0xDB: 1,
}

Frame = tuple[tuple[bool, ...], ...]


class Addressing(enum.Enum):
    """Position of the next data byte (section 10.1.3)."""

    HORIZONTAL = 0
    VERTICAL = 1
    PAGE = 2


class Ssd1306Decoder:
    """One controller with its panel. Any thread may write and look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.power_on()

    def power_on(self) -> None:
        """Forget everything: the state after a reset (section 8.5)."""
        # Kept by segment and not by column: 0xA1 takes effect on later writes only (10.1.8).
        self._ram = [self._fresh_page() for _ in range(PAGES)]
        self._pending = bytearray()
        self._addressing = Addressing.PAGE
        self._columns = (0, WIDTH - 1)
        self._pages = (0, PAGES - 1)
        self._column = self._page = 0
        self._page_start_column = 0
        self._start_line = 0
        self._offset = 0
        self._rows = HEIGHT
        self._segment_remap = self._scan_reversed = False
        self._all_on = self._inverse = self._on = self._charge_pump = False
        self._contrast = 0x7F

    @property
    def contrast(self) -> int:
        """0 to 255, as it was last set."""
        return self._contrast

    @property
    def lit(self) -> bool:
        """True if the panel shows anything: it is switched on and its charge pump runs."""
        return self._on and self._charge_pump

    def write(self, data: bytes) -> None:
        """Take the bytes of one write transaction, control bytes included (section 8.1.5.2)."""
        with self._lock:
            position = 0
            while position < len(data):
                control = data[position]
                is_last = not control & _CONTROL_CONTINUES
                end = len(data) if is_last else position + 2
                take = self._data if control & _CONTROL_IS_DATA else self._command
                for byte in data[position + 1 : end]:
                    take(byte)
                position = end

    def frame(self) -> Frame:
        """Return what is seen: 64 rows of 128 pixels, top left first, True where lit."""
        with self._lock:
            return tuple(self._seen_row(y) for y in range(HEIGHT))

    def _fresh_page(self) -> bytearray:
        """Return what a page of the memory holds before it is written."""
        return bytearray(WIDTH)

    def _seen_row(self, y: int) -> tuple[bool, ...]:
        common = HEIGHT - 1 - y
        if not self.lit or common >= self._rows:
            return (False,) * WIDTH
        if self._all_on:
            return (True,) * WIDTH
        scanned = self._rows - 1 - common if self._scan_reversed else common
        line = (scanned + self._offset + self._start_line) % HEIGHT
        page, bit = self._ram[line // 8], 1 << line % 8
        return tuple(bool(page[WIDTH - 1 - x] & bit) != self._inverse for x in range(WIDTH))

    def _data(self, byte: int) -> None:
        segment = WIDTH - 1 - self._column if self._segment_remap else self._column
        self._ram[self._page][segment] = byte
        self._advance()

    def _advance(self) -> None:
        if self._addressing is Addressing.VERTICAL:
            if self._step_page():
                self._step_column()
        elif self._step_column() and self._addressing is Addressing.HORIZONTAL:
            self._step_page()

    def _step_column(self) -> bool:
        """Go to the next column; tell whether that began anew."""
        page_mode = self._addressing is Addressing.PAGE
        # Page mode knows no window: it wraps to the column that was set for it (10.1.3).
        first, last = (self._page_start_column, WIDTH - 1) if page_mode else self._columns
        wraps = self._column == last
        self._column = first if wraps else (self._column + 1) % WIDTH
        return wraps

    def _step_page(self) -> bool:
        first, last = self._pages
        wraps = self._page == last
        self._page = first if wraps else (self._page + 1) % PAGES
        return wraps

    def _command(self, byte: int) -> None:
        """Take one byte of a command; its arguments may come in later transactions."""
        self._pending.append(byte)
        code, *arguments = self._pending
        if len(arguments) == _ARGUMENTS.get(code, 0):
            self._pending.clear()
            self._execute(code, arguments)

    def _execute(self, code: int, arguments: list[int]) -> None:
        if code in _ARGUMENTS:
            setting = _SETTINGS.get(code)
            if setting is not None:
                setting(self, *arguments)
            return
        for codes, switch in _SWITCHES:
            if code in codes:
                switch(self, code)
                return

    def _set_addressing(self, mode: int) -> None:
        if mode & 3 in (0, 1, 2):
            self._addressing = Addressing(mode & 3)

    def _set_columns(self, first: int, last: int) -> None:
        self._columns = (first & 0x7F, last & 0x7F)
        self._column = first & 0x7F

    def _set_pages(self, first: int, last: int) -> None:
        self._pages = (first & 7, last & 7)
        self._page = first & 7

    def _set_contrast(self, contrast: int) -> None:
        self._contrast = contrast

    def _set_charge_pump(self, setting: int) -> None:
        self._charge_pump = bool(setting & _CHARGE_PUMP_ON)

    def _set_multiplex(self, ratio: int) -> None:
        if ratio & 0x3F >= 15:  # less is invalid (10.1.11)
            self._rows = (ratio & 0x3F) + 1

    def _set_offset(self, lines: int) -> None:
        self._offset = lines & 0x3F

    def _set_column_low(self, code: int) -> None:
        self._start_page_column(self._page_start_column & 0x70 | code & 0x0F)

    def _set_column_high(self, code: int) -> None:
        self._start_page_column((code & 0x07) << 4 | self._page_start_column & 0x0F)

    def _start_page_column(self, column: int) -> None:
        """Only for page addressing (10.1.1, 10.1.2); ignored in the other modes."""
        if self._addressing is Addressing.PAGE:
            self._page_start_column = self._column = column

    def _set_page(self, code: int) -> None:
        if self._addressing is Addressing.PAGE:
            self._page = code & 7

    def _set_start_line(self, code: int) -> None:
        self._start_line = code & 0x3F

    def _set_segment_remap(self, code: int) -> None:
        self._segment_remap = bool(code & 1)

    def _set_all_on(self, code: int) -> None:
        self._all_on = bool(code & 1)

    def _set_inverse(self, code: int) -> None:
        self._inverse = bool(code & 1)

    def _set_on(self, code: int) -> None:
        self._on = bool(code & 1)

    def _set_scan(self, code: int) -> None:
        self._scan_reversed = bool(code & 8)


# Settings that take arguments. Scrolling, clocks and voltages are taken in without effect here.
_SETTINGS: dict[int, Callable[..., None]] = {
    0x20: Ssd1306Decoder._set_addressing,  # noqa: SLF001 - this class's own table
    0x21: Ssd1306Decoder._set_columns,  # noqa: SLF001
    0x22: Ssd1306Decoder._set_pages,  # noqa: SLF001
    0x81: Ssd1306Decoder._set_contrast,  # noqa: SLF001
    0x8D: Ssd1306Decoder._set_charge_pump,  # noqa: SLF001
    0xA8: Ssd1306Decoder._set_multiplex,  # noqa: SLF001
    0xD3: Ssd1306Decoder._set_offset,  # noqa: SLF001
}
# Settings that are coded in the command byte itself.
_SWITCHES: tuple[tuple[range, Callable[[Ssd1306Decoder, int], None]], ...] = (
    (range(0x10), Ssd1306Decoder._set_column_low),  # noqa: SLF001
    (range(0x10, 0x20), Ssd1306Decoder._set_column_high),  # noqa: SLF001
    (range(0x40, 0x80), Ssd1306Decoder._set_start_line),  # noqa: SLF001
    (range(0xA0, 0xA2), Ssd1306Decoder._set_segment_remap),  # noqa: SLF001
    (range(0xA4, 0xA6), Ssd1306Decoder._set_all_on),  # noqa: SLF001
    (range(0xA6, 0xA8), Ssd1306Decoder._set_inverse),  # noqa: SLF001
    (range(0xAE, 0xB0), Ssd1306Decoder._set_on),  # noqa: SLF001
    (range(0xB0, 0xB8), Ssd1306Decoder._set_page),  # noqa: SLF001
    (range(0xC0, 0xC1), Ssd1306Decoder._set_scan),  # noqa: SLF001
    (range(0xC8, 0xC9), Ssd1306Decoder._set_scan),  # noqa: SLF001
)
