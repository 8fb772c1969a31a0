"""SH1106: memory of 132 columns, page addressing only, DC-DC converter.

After the datasheet (Sino Wealth SH1106 V2.3, "Commands"). The SSD1306's commands for addressing
(0x20 to 0x22) and for its charge pump (0x8D) do not exist here, so that what should be their
arguments is taken for commands.
"""

from node_agent.hal.display.controller import ControllerDecoder, Execute


class Sh1106Decoder(ControllerDecoder):
    """One SH1106 with its panel. Any thread may write and look."""

    ram_columns = 132
    arguments = {  # noqa: RUF012 - never changed
        0x81: 1,
        0xA8: 1,
        0xAD: 1,
        0xD3: 1,
        0xD5: 1,
        0xD9: 1,
        0xDA: 1,
        0xDB: 1,
    }

    def power_on(self) -> None:
        super().power_on()
        # On after a reset (command 12).
        self._dc_dc = True
        self.pump_settings = 0

    @property
    def lit(self) -> bool:
        """True if the panel shows anything: it is switched on and its converter runs."""
        return self._on and self._dc_dc

    def _advance(self) -> None:
        # The address stays behind the last column, and never goes to another page.
        self._column = min(self._column + 1, self.ram_columns)

    def _settings_table(self) -> dict[int, Execute]:
        return super()._settings_table() | {0xAD: self._set_dc_dc}

    def _set_dc_dc(self, setting: int) -> None:
        self._dc_dc = bool(setting & 1)
        self.pump_settings += 1

    def _set_column_low(self, code: int) -> None:
        self._column = self._column & 0xF0 | code & 0x0F

    def _set_column_high(self, code: int) -> None:
        self._column = (code & 0x0F) << 4 | self._column & 0x0F

    def _set_page(self, code: int) -> None:
        self._page = code & 7
