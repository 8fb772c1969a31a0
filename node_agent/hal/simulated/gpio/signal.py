"""Signal at a digital input of a scenario: levels over time, and pulses. Pure."""

from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

import msgspec

Level = Literal["low", "high"]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
_MAX_PULSES = 10_000


class Transition(NamedTuple):
    """A change of the level, in the scenario's time."""

    at_s: float
    high: bool


class Pulses(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`count` pulses to `level`, each `width_s` long, the first at `at_s`, one `every_s`."""

    at_s: NonNegative
    level: Level = "low"
    width_s: Positive = 0.1
    count: Annotated[int, msgspec.Meta(ge=1, le=_MAX_PULSES)] = 1
    every_s: Positive = 1.0

    def __post_init__(self) -> None:
        if self.count > 1 and self.every_s <= self.width_s:
            raise ValueError(
                f"every_s: found {self.every_s}, expected more than width_s = {self.width_s}"
            )

    def begins_s(self) -> list[float]:
        return [self.at_s + number * self.every_s for number in range(self.count)]


class InputSignal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`levels` of (second, level); before the first the input is open, the last one holds.

    A pulse goes before the level. Where nothing drives the input, its pull resistor does.
    """

    levels: list[tuple[NonNegative, Level]] = []
    pulses: list[Pulses] = []

    def __post_init__(self) -> None:
        times = [t for t, _ in self.levels]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError(f"levels: found times {times}, expected each to be later")

    def transitions(self, *, idle_high: bool) -> list[Transition]:
        """Return the changes of the level in their order; `idle_high` is that of the open input."""
        windows = [
            (begin_s, begin_s + pulses.width_s, pulses.level == "high")
            for pulses in self.pulses
            for begin_s in pulses.begins_s()
        ]
        # (time, what changes there: the level below, or the pulse that lies over it).
        changes: list[tuple[float, int, bool | None]] = [
            (t_s, 0, level == "high") for t_s, level in self.levels
        ]
        for begin_s, end_s, high in windows:
            changes += [(begin_s, 2, high), (end_s, 1, None)]
        return _merged(sorted(changes, key=lambda change: change[:2]), idle_high=idle_high)


def _merged(changes: list[tuple[float, int, bool | None]], *, idle_high: bool) -> list[Transition]:
    below, over, shown = idle_high, None, idle_high
    found: list[Transition] = []
    for at_s, kind, high in changes:
        if kind == 0:
            below = bool(high)
        else:
            over = high
        level = below if over is None else over
        if level != shown:
            shown = level
            found.append(Transition(at_s, level))
    return found
