"""What goes wrong, when: a plan that a seed gives. Pure."""

import random
from collections.abc import Sequence

import msgspec

HUB, AGENT, ZERO, BROKER = "hub", "pi4", "pizero", "broker"
SPOKES = (AGENT, ZERO)


class Kind(msgspec.Struct, frozen=True):
    """One sort of fault: whom it may hit, how often it comes, and for how long it lasts, in s."""

    targets: tuple[str, ...]
    weight: int = 1
    shortest_s: float = 0.0
    longest_s: float = 0.0


ALL = (HUB, *SPOKES)
# Longer than 1.5 times the keep-alive of 5 s is noticed by both ends; shorter is not.
KINDS = {
    "kill -9": Kind(ALL, 8),
    "SIGSTOP": Kind(ALL, 3, 0.3, 9.0),
    "SIGTERM": Kind(ALL, 2),
    "link cut": Kind(SPOKES, 3, 0.1, 6.0),
    "link stalled": Kind(SPOKES, 2, 1.0, 10.0),
    "stalled, then cut": Kind(SPOKES, 2, 0.5, 5.0),
    "link slow": Kind(SPOKES, 1, 3.0, 8.0),
    "disk full": Kind(ALL, 2, 2.0, 8.0),
    "history corrupted": Kind((HUB,)),
    "outbox corrupted": Kind(SPOKES, 2),
}


class Fault(msgspec.Struct, frozen=True):
    """One fault. The next one comes `pause_s` later, at once or when readings arrive again."""

    kind: str
    target: str
    duration_s: float
    pause_s: float
    waits: bool
    seed: int

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.target}"


def plan(
    seed: int, count: int, *, longest_s: float = 60.0, more: Sequence[str] = ()
) -> list[Fault]:
    """Return `count` faults, of each kind in proportion; `more` are targets of `kill -9`."""
    chance = random.Random(seed)
    kinds: list[str] = []
    while len(kinds) < count:
        block = [name for name, kind in KINDS.items() for _ in range(kind.weight)]
        chance.shuffle(block)
        kinds.extend(block)
    return [_fault(kind, chance, longest_s, more) for kind in kinds[:count]]


def _fault(name: str, chance: random.Random, longest_s: float, more: Sequence[str]) -> Fault:
    kind = KINDS[name]
    targets = (*kind.targets, *more) if name == "kill -9" else kind.targets
    return Fault(
        name,
        chance.choice(targets),
        min(longest_s, chance.uniform(kind.shortest_s, kind.longest_s)),
        # A time of its own within the cycle, so that every moment of it is hit.
        pause_s=chance.uniform(0.0, 1.5),
        waits=chance.random() < 0.7,
        seed=chance.randrange(2**32),
    )
