"""A real relay on a pin of the 40-pin header."""

from bus.errors import HarvesterError
from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.real.handle import Handle
from node_agent.hal.real.lines.lines import Lines, open_lines


class GpioRelay:
    """The relay called `name` on BCM `pin`; its coil closes on a low level where `active_low`.

    The pin is at the released level before it becomes an output, and is left at that level when
    the relay is closed, driven where the kernel allows it: an input would leave the coil to chance.
    """

    def __init__(self, name: str, pin: int, *, active_low: bool) -> None:
        self._pin = pin
        self._released_high = active_low
        self._handle: Handle[Lines] = Handle(f"the {name} relay", self._open, self._release)

    def set(self, *, on: bool) -> None:
        with self._handle.use() as lines:
            try:
                self._drive(lines, on=on)
            except DeviceUnavailableError as e:
                raise DeviceUnavailableError(f"the relay at {e}") from e

    def close(self) -> None:
        self._handle.close()

    def _open(self) -> Lines:
        lines = open_lines()
        try:
            self._drive(lines, on=False)
        except HarvesterError:
            lines.close()
            raise
        return lines

    def _release(self, lines: Lines) -> None:
        self._drive(lines, on=False)
        lines.close()

    def _drive(self, lines: Lines, *, on: bool) -> None:
        high = self._released_high is not on
        lines.drive(self._pin, high=high, safe_high=self._released_high)
