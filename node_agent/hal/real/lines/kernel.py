"""Digital lines through the kernel's GPIO device (/dev/gpiochip*) and the library gpiod."""

import errno
import glob
from collections.abc import Callable
from typing import Any

from node_agent.hal.errors import DeviceUnavailableError, HardwareNotInstalledError
from node_agent.hal.gpio import InputMode
from node_agent.hal.real import library
from node_agent.hal.real.lines.edges import EdgeFilter, EdgeThread

CHIPS = "/dev/gpiochip*"
# Labels of the chips whose line numbers are BCM numbers (Linux, drivers/pinctrl/bcm/
# pinctrl-bcm2835.c and drivers/pinctrl/pinctrl-rp1.c); a machine has others, of its power chip.
HEADER_LABELS = frozenset(("pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"))
_CONSUMER = "harvester"
_REMEDIES = {
    errno.EACCES: ": join the group gpio, or run as root",
    errno.EPERM: ": join the group gpio, or run as root",
    errno.EBUSY: ": another program or an overlay of config.txt uses it: gpioinfo",
}
# Edges that the kernel keeps until they are read.
_EVENT_BUFFER = 256


def header_chip() -> str:
    """Return the device file of the header's lines. Raises HardwareNotInstalledError."""
    gpiod = library.load("gpiod")
    closed = ""
    for path in sorted(glob.glob(CHIPS)):  # noqa: PTH207 - the pattern is absolute
        try:
            with gpiod.Chip(path) as chip:
                if chip.get_info().label in HEADER_LABELS:
                    return str(path)
        except OSError as e:
            closed = closed or f"{path}: {_reason(e)}"
    raise HardwareNotInstalledError(closed or f"no {CHIPS} of a Raspberry Pi's header")


class KernelLines:
    """The lines of the device file `path`, each requested at its first use and kept.

    When an output is let go of, the Raspberry Pi's kernel keeps its level (module parameter
    persist_gpio_outputs of pinctrl_bcm2835); others make it an input, which its pull resistor
    holds at the safe level.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._gpiod = library.load("gpiod")
        self._line = library.load("gpiod.line")
        self._inputs: dict[int, Any] = {}
        self._outputs: dict[int, Any] = {}
        self._edges: EdgeThread | None = None

    def set_input(self, pin: int, mode: InputMode, on_edge: Callable[[], object]) -> str:
        self._let_go(pin)
        line = self._line
        pulls = {"up": line.Bias.PULL_UP, "down": line.Bias.PULL_DOWN, "none": line.Bias.DISABLED}
        edges = {"rising": line.Edge.RISING, "falling": line.Edge.FALLING, "both": line.Edge.BOTH}
        self._inputs[pin] = request = self._request(
            pin,
            direction=line.Direction.INPUT,
            bias=pulls[mode.pull],
            edge_detection=edges[mode.edge],
        )
        if self._edges is None:
            self._edges = EdgeThread()
        self._edges.add(request, EdgeFilter(mode.debounce_ms, on_edge))
        return ""

    def is_high(self, pin: int) -> bool:
        try:
            return bool(self._inputs[pin].get_value(pin) == self._line.Value.ACTIVE)
        except OSError as e:
            raise DeviceUnavailableError(f"gpio{pin}: {e.strerror or e}") from e

    def drive(self, pin: int, *, high: bool, safe_high: bool) -> None:
        line = self._line
        value = line.Value.ACTIVE if high else line.Value.INACTIVE
        request = self._outputs.get(pin)
        if request is None:
            self._let_go(pin)
            self._outputs[pin] = self._request(
                pin,
                direction=line.Direction.OUTPUT,
                bias=line.Bias.PULL_UP if safe_high else line.Bias.PULL_DOWN,
                output_value=value,
            )
            return
        try:
            request.set_value(pin, value)
        except OSError as e:
            raise DeviceUnavailableError(f"gpio{pin}: {e.strerror or e}") from e

    def close(self) -> None:
        if self._edges is not None:
            self._edges.close()
            self._edges = None
        for pin in (*self._inputs, *self._outputs):
            self._let_go(pin)

    def _let_go(self, pin: int) -> None:
        output = self._outputs.pop(pin, None)
        if output is not None:
            output.release()
        request = self._inputs.pop(pin, None)
        if request is not None:
            if self._edges is not None:
                self._edges.remove(request)
            request.release()

    def _request(self, pin: int, **settings: Any) -> Any:
        try:
            return self._gpiod.request_lines(
                self._path,
                consumer=_CONSUMER,
                config={pin: self._gpiod.LineSettings(**settings)},
                event_buffer_size=_EVENT_BUFFER,
            )
        except OSError as e:
            raise HardwareNotInstalledError(f"gpio{pin}: {self._path}: {_reason(e)}") from e


def _reason(error: OSError) -> str:
    remedy = _REMEDIES.get(error.errno or 0, "")
    return f"{error.strerror or error}{remedy}"
