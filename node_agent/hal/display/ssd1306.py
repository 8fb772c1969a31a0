"""SSD1306: its three addressing modes, charge pump and commands.

After the datasheet (Solomon Systech SSD1306 rev 1.1, sections 8.1.5, 9 and 10).
"""

import enum

from node_agent.hal.display.controller import (
    HEIGHT,
    PAGES,
    WIDTH,
    ControllerDecoder,
    Execute,
    Frame,
)

__all__ = ["HEIGHT", "PAGES", "WIDTH", "Frame", "Ssd1306Decoder"]

# A module is fed 3.3 V: without its charge pump the panel stays dark (application note, section 2).
_CHARGE_PUMP_ON = 0x04


class Addressing(enum.Enum):
    """Position of the next data byte (section 10.1.3)."""

    HORIZONTAL = 0
    VERTICAL = 1
    PAGE = 2


class Ssd1306Decoder(ControllerDecoder):
    """One SSD1306 with its panel. Any thread may write and look."""

    # Section 9, table 9-1.
    arguments = {  # noqa: RUF012 - never changed
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

    def power_on(self) -> None:
        super().power_on()
        self._addressing = Addressing.PAGE
        self._columns = (0, WIDTH - 1)
        self._pages = (0, PAGES - 1)
        self._page_start_column = 0
        self._charge_pump = False
        self._contrast = 0x7F
        self.pump_settings = 0

    @property
    def lit(self) -> bool:
        """True if the panel shows anything: it is switched on and its charge pump runs."""
        return self._on and self._charge_pump

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

    def _settings_table(self) -> dict[int, Execute]:
        return super()._settings_table() | {
            0x20: self._set_addressing,
            0x21: self._set_columns,
            0x22: self._set_pages,
            0x8D: self._set_charge_pump,
        }

    def _set_addressing(self, mode: int) -> None:
        if mode & 3 in (0, 1, 2):
            self._addressing = Addressing(mode & 3)

    def _set_columns(self, first: int, last: int) -> None:
        self._columns = (first & 0x7F, last & 0x7F)
        self._column = first & 0x7F

    def _set_pages(self, first: int, last: int) -> None:
        self._pages = (first & 7, last & 7)
        self._page = first & 7

    def _set_charge_pump(self, setting: int) -> None:
        self._charge_pump = bool(setting & _CHARGE_PUMP_ON)
        self.pump_settings += 1

    def _set_multiplex(self, ratio: int) -> None:
        if ratio & 0x3F >= 15:  # less is invalid (10.1.11)
            super()._set_multiplex(ratio)

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
