"""Digital pins of one plugin instance, within its grants."""

import contextlib
import logging
import threading
from collections.abc import Mapping

from bus.config.grant_table import Grant
from bus.config.key_types import FIRST_PIN, LAST_PIN
from bus.errors import BadDataError, HarvesterError, MisconfiguredError
from node_agent.hal.capabilities import Hardware
from node_agent.hal.gpio import EDGES, MAX_DEBOUNCE_MS, PULLS, InputMode
from node_agent.plugins import grants

logger = logging.getLogger(__name__)


class PluginPins:
    """The pins that `grant` names. `users` has the configuration's key of every pin in use.

    Outputs are driven while the instance is live; the last level of a trial is driven at its end.
    Edges are counted for each instance apart. Any thread may call.
    """

    def __init__(
        self,
        plugin: str,
        grant: Grant,
        hardware: Hardware,
        users: Mapping[int, str],
        *,
        is_live: bool = True,
    ) -> None:
        self._plugin = plugin
        self._hardware = hardware
        self._users = users
        self._inputs = frozenset(grant.inputs)
        self._safe_levels = {output.pin: output.is_safe_high for output in grant.outputs}
        self._lock = threading.Lock()
        self._is_live = is_live
        self._is_over = False
        self._wanted: dict[int, bool] = {}
        # The hardware's count of each input when it was last taken.
        self._taken: dict[int, int] = {}

    def set_input(self, pin: int, pull: str, edge: str, debounce_ms: int) -> None:
        self._check_input(pin)
        self._hardware.gpio.set_input(pin, _input_mode(pull, edge, debounce_ms))
        if pin not in self._taken:
            # Where edges are not counted, `take_edges` says so.
            with contextlib.suppress(HarvesterError):
                self._taken[pin] = self._hardware.gpio.edges(pin)

    def read(self, pin: int) -> bool:
        self._check_input(pin)
        return self._hardware.gpio.is_high(pin)

    def take_edges(self, pin: int) -> int:
        """Return the number of edges since the last call, or since `set_input`."""
        self._check_input(pin)
        total = self._hardware.gpio.edges(pin)
        before, self._taken[pin] = self._taken.get(pin, total), total
        return total - before

    def write(self, pin: int, high: bool) -> None:  # noqa: FBT001 - the contract's signature
        if pin not in self._safe_levels:
            raise self._refused(pin, f'outputs = [{{ pin = {pin}, safe = "low" }}]', "an input")
        with self._lock:
            if self._is_live:
                self._drive(pin, high=high)
            self._wanted[pin] = high

    def go_live(self) -> None:
        """Drive the levels that were written on trial; the other outputs get their safe ones."""
        with self._lock:
            if self._is_over:
                return
            self._is_live = True
            self._drive_all(self._safe_levels | self._wanted)

    def retire(self) -> None:
        with self._lock:
            self._is_live, self._is_over = False, True

    def end(self) -> None:
        """Bring the outputs to their safe levels where this instance drove them."""
        with self._lock:
            was_live, self._is_live, self._is_over = self._is_live, False, True
            if was_live:
                self._drive_all(self._safe_levels)

    def _drive_all(self, levels: Mapping[int, bool]) -> None:
        for pin, high in levels.items():
            try:
                self._drive(pin, high=high)
            except HarvesterError as e:
                logger.error("plugin %s: %s", self._plugin, e)  # noqa: TRY400 - says it all

    def _drive(self, pin: int, *, high: bool) -> None:
        self._hardware.gpio.drive(pin, high=high, safe_high=self._safe_levels[pin])

    def _check_input(self, pin: int) -> None:
        if pin not in self._inputs:
            raise self._refused(pin, f"inputs = [{pin}]", "an output")

    def _refused(self, pin: int, line: str, other: str) -> HarvesterError:
        """Return the error for a pin that is not granted in the wanted direction."""
        if pin in self._inputs or pin in self._safe_levels:
            return MisconfiguredError(
                f"not granted: [plugins.grants.{self._plugin}] has gpio{pin} as {other}"
            )
        if pin in self._users:
            return MisconfiguredError(f"not granted: gpio{pin} belongs to {self._users[pin]}")
        if not FIRST_PIN <= pin <= LAST_PIN:
            return BadDataError(f"pin: found {pin}, expected {FIRST_PIN} to {LAST_PIN}")
        return MisconfiguredError(grants.refusal(self._plugin, line))


def _input_mode(pull: str, edge: str, debounce_ms: int) -> InputMode:
    if pull not in PULLS:
        raise _wrong("pull", repr(pull[:80]), f"one of {', '.join(PULLS)}")
    if edge not in EDGES:
        raise _wrong("edge", repr(edge[:80]), f"one of {', '.join(EDGES)}")
    if debounce_ms > MAX_DEBOUNCE_MS:
        raise _wrong("debounce_ms", str(debounce_ms), f"at most {MAX_DEBOUNCE_MS}")
    return InputMode(pull, edge, debounce_ms)


def _wrong(parameter: str, found: str, expected: str) -> BadDataError:
    return BadDataError(f"gpio.set_input: {parameter}: found {found}, expected {expected}")
