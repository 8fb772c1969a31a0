"""Digital lines by BCM number as one protocol, and the choice of what drives them here.

The kernel's GPIO device (/dev/gpiochip*) works on every model and counts edges. RPi.GPIO works on
models before the Raspberry Pi 5 and counts no edges since Linux 6.6; rpi-lgpio is a module of the
same name and interface. They are used where the library gpiod is missing, or the kernel has no
GPIO device.
"""

from collections.abc import Callable
from typing import Protocol

from node_agent.hal.errors import HardwareNotInstalledError
from node_agent.hal.gpio import InputMode
from node_agent.hal.real.lines.kernel import KernelLines, header_chip
from node_agent.hal.real.lines.rpi_gpio import RpiGpioLines


class Lines(Protocol):
    """Lines of a Raspberry Pi's header. Calls come from one thread at a time.

    All raise HardwareNotInstalledError where a line may not be used and DeviceUnavailableError
    where it does not answer.
    """

    def set_input(self, pin: int, mode: InputMode, on_edge: Callable[[], object]) -> str:
        """Make `pin` an input and call `on_edge` at each edge, from a thread of the driver.

        Return the reason where edges are not counted, else nothing.
        """

    def is_high(self, pin: int) -> bool:
        """Return the level of an input."""

    def drive(self, pin: int, *, high: bool, safe_high: bool) -> None:
        """Drive an output. It has its level before it becomes one.

        Where the kernel turns it into an input later, a pull resistor holds it at `safe_high`.
        """

    def close(self) -> None:
        """Give back inputs and stop counting; outputs keep their level where the kernel does."""


def open_lines() -> Lines:
    """Return the lines of this machine's header. Raises HardwareNotInstalledError."""
    try:
        return KernelLines(header_chip())
    except HardwareNotInstalledError as unusable:
        try:
            return RpiGpioLines()
        except HardwareNotInstalledError as e:
            # Nobody needs RPi.GPIO who has what the extra `pi` installs.
            raise (unusable if isinstance(e.__cause__, ImportError) else e) from e
