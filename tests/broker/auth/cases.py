"""Hypothesis strategies: users with topics and filters for which they ask."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from hypothesis import strategies as st

from broker.auth.gate import Identity, Role
from broker.auth.open_topics import Scope

T = TypeVar("T")

NODE, OTHER = "pi4", "pi5"
PEOPLE = {
    Role.NODE: Identity(NODE, Role.NODE),
    Role.HUB: Identity("hub_app", Role.HUB),
    Role.OPERATOR: Identity("ann", Role.OPERATOR),
    Role.VIEWER: Identity("vic", Role.VIEWER),
    Role.INTEGRATION: Identity("ha", Role.INTEGRATION, "ha"),
    Role.DEVICE: Identity("plug", Role.DEVICE, "plug"),
}
SCOPE = Scope(open_roots=("tele", "homeassistant"))

_ROOTS = [
    *["harvester"] * 8,
    *["homeassistant"] * 3,
    *["tele"] * 3,
    *("$SYS", "$share", "other", "plug", ""),
]
_NODES = [
    *[NODE] * 4,
    *["plug"] * 2,
    *(OTHER, "pi44", "pi", "PI4", "hub_app", "cmd", "", "pi4 ", "-", "sensor", "status"),
]
_WORDS = [
    *("status", "heartbeat", "readings", "logs", "plugins", "leds", "buzzer", "fan", "oled"),
    *("cmd", "cmd", "cmd", "result", "stored", "alarms", "backlog", "dht22-gpio4"),
    *(NODE, OTHER, "x", ""),
    *("config", "config", "state", "harvester_pi4_dht22-gpio4_temperature"),
    *("CMD", "cmd ", "sto_red", "\u00e9", "a" * 64, "a" * 65, "harvester", "broker"),
]
_WILD = ["+", "#"]
# How many levels follow the node's.
_LENGTHS = [0, 1, 1, 1, 2, 2, 2, 2, 3, 4]
_OTHERS = ["harvester", "+/#", "/harvester/#", "$share/g/harvester/#", "$queue/harvester/#"]

_CASE_BYTES, _CASES_EACH = 8, 8


class Case(msgspec.Struct, frozen=True):
    """Somebody who publishes to a topic, or else subscribes to a filter."""

    role: Role
    publishes: bool
    text: str


def case_of(number: int) -> Case:
    """Return the case that a number stands for: its digits choose."""

    def choose(choices: Sequence[T]) -> T:
        nonlocal number
        number, digit = divmod(number, len(choices))
        return choices[digit]

    role, publishes = choose(list(Role)), choose([True, False])
    wild = [] if publishes else _WILD
    levels = [choose([*_ROOTS, *wild]), choose([*_NODES, *wild])]
    levels += [choose([*_WORDS, *wild * 4]) for _ in range(choose(_LENGTHS))]
    if not publishes and choose(range(40)) == 0:
        return Case(role, publishes, choose(_OTHERS))
    return Case(role, publishes, "/".join(levels))


# Several to an example: hypothesis makes some thousand a second.
batches = st.binary(min_size=_CASE_BYTES * _CASES_EACH, max_size=_CASE_BYTES * _CASES_EACH).map(
    lambda data: [
        case_of(int.from_bytes(data[start : start + _CASE_BYTES], "little"))
        for start in range(0, len(data), _CASE_BYTES)
    ]
)
