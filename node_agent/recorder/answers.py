"""Answers to a guest from recorded steps, in place of hardware, clocks and randomness.

The order of the record holds as long as the guest asks for what is next in it. After a difference
each question is answered by the next event that fits, then by the newest answer of an earlier
step, then as by a host that has nothing. Nothing has an effect.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from node_agent.plugins.readings import NOT_MEASURED_U32, NOT_MEASURED_U64
from node_agent.recorder.events import Call, Event, Monotonic, Random, Wall, to_answer, to_plain
from node_agent.sandbox.instance import Err, HostFunction

# Distinct calls whose newest answers are remembered, and their bytes. The first ones stay: a plugin
# sets itself up with them.
MAX_REMEMBERED = 2000
MAX_REMEMBERED_BYTES = 1 << 20
# The clock's step where the record has no further value.
_TICK_NS = 1_000_000
# Functions without an answer: the guest may go on.
_NOTHING = frozenset(
    {
        *(("led-controller", name) for name in ("set-led", "set-all", "set-two", "clear")),
        ("led-controller", "sync-leds"),
        *(("buzzer-controller", name) for name in ("buzz", "beep")),
        *(("fan-controller", "set-fan"), ("events", "publish"), ("plugin-state", "set")),
        *(("settings", "get"), ("settings", "get-for"), ("readings", "latest")),
        *(("plugin-state", "get"), ("gpio", "set-input"), ("gpio", "write")),
    }
)
# Effects on the node, which are logged and not carried out.
EFFECTS = frozenset({"led-controller", "buzzer-controller", "fan-controller", "events"})
_NOT_MEASURED: Mapping[tuple[str, str], Any] = {
    ("gpio-provider", "get-cpu-temp"): math.nan,
    ("system-info", "get-cpu-usage"): math.nan,
    ("system-info", "get-memory-usage"): (NOT_MEASURED_U32, NOT_MEASURED_U32),
    ("system-info", "get-uptime"): NOT_MEASURED_U64,
    ("fan-controller", "get-fan-state"): False,
}
_TIME = ("gpio-provider", "get-timestamp-ms")


class Answers:
    """Host functions, clocks and randomness of one instance, from the events of each step."""

    waits = False

    def __init__(self) -> None:
        # Of the present step: all of its events, and those that the guest has not asked for yet.
        self._step: list[Event] = []
        self._events: list[Event] = []
        self._step_ms = 0
        self._ends_asleep = False
        # Encoded answers by encoded calls, and the bytes of both.
        self._earlier: dict[bytes, bytes] = {}
        self.remembered_bytes = 0
        self._monotonic_ns = self._wall_ns = 0
        self._random = 0
        # Of the present step: whether the guest still asks in the recorded order; the calls that
        # an earlier step answered, and those that none did.
        self.is_in_order = True
        self.from_earlier: list[Call] = []
        self.unanswered: list[Call] = []

    def step(self, events: list[Event], began_ms: int, *, ends_asleep: bool = False) -> None:
        """Answer from the events of the next step; `ends_asleep` where a wait was cut off."""
        self.remember(self._step)
        self._step = events
        self._events = list(events)
        self._step_ms, self._ends_asleep = began_ms, ends_asleep
        self.is_in_order = True
        self.from_earlier, self.unanswered = [], []

    def remember(self, events: list[Event]) -> None:
        """Use the answers of an earlier step where a later one has none."""
        for event in events:
            if isinstance(event, Call):
                self._remember(_key(event), msgspec.msgpack.encode(event.answer))

    def _remember(self, key: bytes, answer: bytes) -> None:
        before = self._earlier.get(key)
        size = len(answer) + (len(key) if before is None else -len(before))
        is_full = before is None and len(self._earlier) >= MAX_REMEMBERED
        if not is_full and self.remembered_bytes + size <= MAX_REMEMBERED_BYTES:
            self._earlier[key] = answer
            self.remembered_bytes += size

    @property
    def is_used_up(self) -> bool:
        """Whether the guest has asked for everything in the step's record."""
        return not self._events

    @property
    def is_asleep(self) -> bool:
        """Whether a wait that begins now is the one that was cut off in the record."""
        return self._ends_asleep and self.is_used_up

    def imports(
        self, imported: Mapping[str, Mapping[str, object]]
    ) -> dict[str, dict[str, HostFunction]]:
        """Return the functions of the interfaces that a plugin imports."""
        return {
            interface: {name: partial(self._answer, interface, name) for name in functions}
            for interface, functions in imported.items()
        }

    def elapsed_ns(self) -> int:
        """Return the newest time of the monotonic clock: nothing waits by it."""
        return self._monotonic_ns

    def monotonic_ns(self) -> int:
        event = self._take(lambda event: isinstance(event, Monotonic))
        now_ns = self._monotonic_ns + _TICK_NS
        self._monotonic_ns = event.ns if isinstance(event, Monotonic) else now_ns
        return self._monotonic_ns

    def wall_ns(self) -> int:
        event = self._take(lambda event: isinstance(event, Wall))
        self._wall_ns = event.ns if isinstance(event, Wall) else self._wall_ns + _TICK_NS
        return self._wall_ns

    def random_bytes(self, count: int) -> bytes:
        event = self._take(lambda e: isinstance(e, Random) and len(e.content) == count)
        if isinstance(event, Random):
            return event.content
        self._random += 1
        return hashlib.shake_128(str(self._random).encode()).digest(count)

    def _answer(self, interface: str, function: str, *arguments: Any) -> Any:
        wanted = Call(interface, function, [to_plain(argument) for argument in arguments], None)
        key = _key(wanted)
        event = self._take(lambda event: isinstance(event, Call) and _key(event) == key)
        if isinstance(event, Call):
            return to_answer(event.answer)
        # A time of an earlier step is none of this one's.
        if key in self._earlier and (interface, function) != _TIME:
            self.from_earlier.append(wanted)
            return to_answer(msgspec.msgpack.decode(self._earlier[key]))
        self.unanswered.append(wanted)
        return self._without_record(interface, function)

    def _without_record(self, interface: str, function: str) -> Any:
        name = (interface, function)
        if name == _TIME:
            return self._step_ms
        if name in _NOTHING:
            return None
        if name in _NOT_MEASURED:
            return _NOT_MEASURED[name]
        return Err(f"{interface}.{function}: the record has no answer to this call")

    def _take(self, fits: Callable[[Event], bool]) -> Event | None:
        """Take the next event that fits, None where none is left."""
        found = next((at for at, event in enumerate(self._events) if fits(event)), None)
        if found != 0:
            self.is_in_order = False
        return None if found is None else self._events.pop(found)


def _key(call: Call) -> bytes:
    return msgspec.msgpack.encode((call.interface, call.function, call.arguments))
