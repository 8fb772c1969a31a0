"""OLED plugin: the values that its settings choose, on an SSD1306 or SH1106 display."""

import time
from collections.abc import Callable, Sequence

from componentize_py_types import Err
from driver import Panel, Sh1106, Ssd1306
from faults import FaultLog
from oled.layout import compose, slots
from oled.line_choice import BadLinesError, Choice, parse
from oled.options import Options, Wiring
from oled.screen import rows_of, screen_at
from poll_deadline import DeadlineExceededError, PollDeadline
from wit_world import exports
from wit_world.imports import i2c, settings

CONTROLLERS = {"SSD1306": Ssd1306, "SH1106": Sh1106}


class OledLogic(exports.OledLogic):
    def __init__(self) -> None:
        self._deadline = PollDeadline()
        self._lines = ""
        self._choices: Sequence[Choice] = ()
        self._connect(Wiring())

    def update(self, sensor_data: str) -> None:
        options = Options.read(settings.get)
        if options.wiring != self._wiring:
            self._reconnect(options.wiring)
        if options.lines != self._lines:
            self._choose(options.lines)
        frame = self._frame(sensor_data, options)
        self._deadline.begin(time.monotonic())
        reason = _reason(lambda: self._display.show(frame))
        now_s = time.monotonic()
        line = self._faults.failed(reason, now_s) if reason else self._faults.worked(now_s)
        if line:
            print(line)

    def _frame(self, sensor_data: str, options: Options) -> bytes:
        rows = rows_of(sensor_data, self._choices, options.fresh_s)
        height, title = options.wiring.height, options.title
        room = slots(height, title)
        return compose(height, title, screen_at(rows, room, options.screen_s, time.monotonic()))

    def _choose(self, lines: str) -> None:
        self._lines, self._choices = lines, ()
        try:
            self._choices = parse(lines)
        except BadLinesError as e:
            print(f"setting lines: {e}; the display shows the automatic choice")

    def _connect(self, wiring: Wiring) -> None:
        self._wiring = wiring
        panel = Panel(wiring.height, wiring.contrast, wiring.is_flipped)
        self._display = CONTROLLERS[wiring.controller](self._transfer, panel)
        self._faults = FaultLog(f"{wiring.controller.lower()}-0x{wiring.address:02x}")

    def _reconnect(self, wiring: Wiring) -> None:
        if wiring.address != self._wiring.address:
            # One that is gone or not granted any more stays as it is.
            self._deadline.begin(time.monotonic())
            _reason(self._display.switch_off)
        self._connect(wiring)

    def _transfer(self, write: bytes, read_len: int) -> bytes:
        self._deadline.check(time.monotonic())
        return bytes.fromhex(i2c.transfer(self._wiring.address, write.hex(), read_len))


def _reason(act: Callable[[], None]) -> str:
    """Do it; return why it failed, or nothing."""
    try:
        act()
    except Err as e:
        return str(e.value)
    except DeadlineExceededError as e:
        return str(e)
    return ""
