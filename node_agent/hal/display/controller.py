"""Display controller: decodes the bytes of I2C writes and returns the picture that the panel shows.

The part that SSD1306 and SH1106 have in common: control bytes, commands with their arguments, and
the way from memory to panel. It knows no bus, so it can follow what is sent to a real display as
well, from any byte on. Panels have 128 columns and 64 or 32 rows and are mounted the usual way:
segment remap (0xA1) and a reversed scan (0xC8) put the first bit at the top left.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

WIDTH = 128
HEIGHT = 64
LOW_HEIGHT = 32
PAGES = HEIGHT // 8

_CONTROL_CONTINUES = 0x80
_CONTROL_IS_DATA = 0x40

Frame = tuple[tuple[bool, ...], ...]
# Takes the arguments of a command, or the code of one that has none.
Execute = Callable[..., None]


class ControllerDecoder(ABC):
    """One controller with its panel. Any thread may write and look."""

    # Of the memory; a panel of 128 columns is in the middle of them.
    ram_columns = WIDTH
    # Arguments that follow each command.
    arguments: Mapping[int, int] = {}

    def __init__(self, panel_rows: int | None = HEIGHT) -> None:
        """Power on. Without `panel_rows` the panel is as high as the commands say that it is."""
        self._panel_rows = panel_rows
        self._lock = threading.Lock()
        self._settings = self._settings_table()
        self._switches = self._switches_table()
        self.power_on()

    def power_on(self) -> None:
        """Forget everything: the state after a reset."""
        # Kept by segment and not by column: 0xA1 takes effect on later writes only.
        self._ram = [self._fresh_page() for _ in range(PAGES)]
        self._pending = bytearray()
        self._column = self._page = 0
        self._start_line = 0
        self._offset = 0
        self._rows = HEIGHT
        self._pins_alternate = True
        self._segment_remap = self._scan_reversed = False
        self._all_on = self._inverse = self._on = False
        self._contrast = 0x80

    @property
    def contrast(self) -> int:
        """0 to 255, as it was last set."""
        return self._contrast

    @property
    def height(self) -> int:
        """Rows of the panel."""
        if self._panel_rows is not None:
            return self._panel_rows
        return LOW_HEIGHT if self._rows <= LOW_HEIGHT else HEIGHT

    @property
    @abstractmethod
    def lit(self) -> bool:
        """True if the panel shows anything."""

    def write(self, data: bytes) -> None:
        """Take the bytes of one write transaction, control bytes included."""
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
        """Return what is seen: rows of 128 pixels, top left first, True where lit."""
        with self._lock:
            return tuple(self._seen_row(y) for y in range(self.height))

    def _fresh_page(self) -> bytearray:
        """Return what a page of the memory holds before it is written."""
        return bytearray(self.ram_columns)

    def _seen_row(self, y: int) -> tuple[bool, ...]:
        common = self._common_of(self.height - 1 - y)
        if not self.lit or common >= self._rows:
            return (False,) * WIDTH
        if self._all_on:
            return (True,) * WIDTH
        scanned = self._rows - 1 - common if self._scan_reversed else common
        line = (scanned + self._offset + self._start_line) % HEIGHT
        page, bit = self._ram[line // 8], 1 << line % 8
        last = (self.ram_columns + WIDTH) // 2 - 1
        return tuple(bool(page[last - x] & bit) != self._inverse for x in range(WIDTH))

    def _common_of(self, row: int) -> int:
        """Return the common that drives a row of the panel, counted from its lower edge.

        The rows of a panel of 64 alternate between both sides of the chip, those of one of 32 are
        on one side. Where the common pins are set otherwise, rows come in the wrong order.
        """
        alternate = self.height == HEIGHT
        if self._pins_alternate == alternate:
            return row
        return row // 2 + (row % 2) * (HEIGHT // 2) if alternate else 2 * row

    def _data(self, byte: int) -> None:
        # Beyond its memory a controller takes data without effect.
        if self._column < self.ram_columns:
            remapped = self.ram_columns - 1 - self._column
            self._ram[self._page][remapped if self._segment_remap else self._column] = byte
        self._advance()

    @abstractmethod
    def _advance(self) -> None:
        """Go to the place of the next data byte."""

    def _command(self, byte: int) -> None:
        """Take one byte of a command; its arguments may come in later transactions."""
        self._pending.append(byte)
        code, *arguments = self._pending
        if len(arguments) == self.arguments.get(code, 0):
            self._pending.clear()
            self._execute(code, arguments)

    def _execute(self, code: int, arguments: list[int]) -> None:
        if code in self.arguments:
            setting = self._settings.get(code)
            if setting is not None:
                setting(*arguments)
            return
        for codes, switch in self._switches:
            if code in codes:
                switch(code)
                return

    def _settings_table(self) -> dict[int, Execute]:
        """Return the commands that take arguments; clocks and voltages are without effect here."""
        return {
            0x81: self._set_contrast,
            0xA8: self._set_multiplex,
            0xD3: self._set_offset,
            0xDA: self._set_pins,
        }

    def _switches_table(self) -> list[tuple[range, Execute]]:
        """Return the settings that are coded in the command byte itself."""
        return [
            (range(0x10), self._set_column_low),
            (range(0x10, 0x20), self._set_column_high),
            (range(0x40, 0x80), self._set_start_line),
            (range(0xA0, 0xA2), self._set_segment_remap),
            (range(0xA4, 0xA6), self._set_all_on),
            (range(0xA6, 0xA8), self._set_inverse),
            (range(0xAE, 0xB0), self._set_on),
            (range(0xB0, 0xB8), self._set_page),
            (range(0xC0, 0xC1), self._set_scan),
            (range(0xC8, 0xC9), self._set_scan),
        ]

    @abstractmethod
    def _set_column_low(self, code: int) -> None: ...

    @abstractmethod
    def _set_column_high(self, code: int) -> None: ...

    @abstractmethod
    def _set_page(self, code: int) -> None: ...

    def _set_contrast(self, contrast: int) -> None:
        self._contrast = contrast

    def _set_multiplex(self, ratio: int) -> None:
        self._rows = (ratio & 0x3F) + 1

    def _set_offset(self, lines: int) -> None:
        self._offset = lines & 0x3F

    def _set_pins(self, setting: int) -> None:
        self._pins_alternate = bool(setting & 0x10)

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
