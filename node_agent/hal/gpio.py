"""Digital pins: how an input is set up, and what every driver of them does."""

from typing import Literal, Protocol, get_args

import msgspec

from bus.errors import BadDataError

Pull = Literal["up", "down", "none"]
Edge = Literal["rising", "falling", "both"]
PULLS: tuple[Pull, ...] = get_args(Pull)
EDGES: tuple[Edge, ...] = get_args(Edge)
# Longer ones would hide what people do.
MAX_DEBOUNCE_MS = 10_000


class InputMode(msgspec.Struct, frozen=True):
    """Pull resistor of an input, and the edges that are counted.

    Of edges within `debounce_ms` after a counted one, none is counted.
    """

    pull: Pull
    edge: Edge
    debounce_ms: int = 0


class Gpio(Protocol):
    """Digital pins by BCM number. Every method may be called from any thread.

    Raises DeviceUnavailableError where a pin does not answer, and HardwareNotInstalledError where
    this machine has none.
    """

    def set_input(self, pin: int, mode: InputMode) -> None:
        """Make `pin` an input that counts edges; where it is one of that mode, do nothing."""

    def is_high(self, pin: int) -> bool:
        """Return the level of an input. Raises BadDataError where `pin` is none."""

    def edges(self, pin: int) -> int:
        """Return the number of edges ever counted. Raises BadDataError where `pin` is no input."""

    def drive(self, pin: int, *, high: bool, safe_high: bool) -> None:
        """Drive an output. It gets the level `safe_high` when the hardware is closed."""


def no_input(pin: int) -> BadDataError:
    """Return the error for a pin that `set_input` was not called for."""
    return BadDataError(f"gpio{pin} is no input yet, expected set_input() before")
