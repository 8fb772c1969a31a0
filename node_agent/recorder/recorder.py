"""Flight recorder: the steps of one instance in a ring that is bounded in bytes.

It keeps the first steps, in which a plugin sets itself up, and the newest; what lies between is
dropped when the ring is full. The plugin's thread records; any thread may take a copy.
"""

import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

import msgspec

from bus.clock import now_ms
from node_agent.recorder.events import Call, Event, Outcome, Step, to_plain

# Of the ring, for the first steps; and for one step, which may make 10,000 calls.
_FIRST_SHARE = 0.25
_STEP_SHARE = 0.5
# A state is taken each time when the polls since the last one have this share. What is dropped ends
# at one.
_STATE_SHARE = 0.125
# MessagePack's array with a count of 32 bits.
_ARRAY = b"\xdd"
_COUNT_BYTES = 4


# Polls of a plugin repeat themselves: a third is left, for some 30 us a poll.
_LEVEL = 1
# Of a bytes object and its place in the ring.
_OBJECT_BYTES = 48


class Steps(msgspec.Struct, frozen=True, array_like=True):
    """Steps of one instance, oldest first; `missing` were dropped before the last `newest`."""

    kept: list[Step]
    missing: int
    newest: int


_DECODER = msgspec.msgpack.Decoder(Step)


class Recorder:
    """Recorder of one instance."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._encoder = msgspec.msgpack.Encoder()
        self._order = threading.Lock()
        self._first: list[bytes] = []
        self._first_bytes = 0
        # Each with whether it begins with a state.
        self._newest: deque[tuple[bytes, bool]] = deque()
        self._newest_bytes = self._since_state_bytes = 0
        self._missing = 0
        self._number = 0
        # Of the running step.
        self._running = False
        self._argument: str | None = None
        self._began_ms = 0
        self._began_ns = 0
        self._body = bytearray()
        self._count = 0
        self._is_cut = False
        self._state: str | None = None
        self._no_state = ""

    # The plugin's thread calls these.

    @property
    def wants_state(self) -> bool:
        """Whether the next step shall begin with the guest's state."""
        return self._since_state_bytes > self._limit_bytes * _STATE_SHARE

    def begin(
        self, argument: str | None = None, *, state: str | None = None, no_state: str = ""
    ) -> None:
        """Begin a step: the load, or a poll with its argument and the state that was taken."""
        self._state, self._no_state = state, no_state
        self._argument, self._began_ms = argument, now_ms()
        self._began_ns = time.perf_counter_ns()
        self._body, self._count, self._is_cut = bytearray(), 0, False
        self._running = True

    def add(self, event: Event) -> None:
        # A step that hangs may be copied meanwhile.
        with self._order:
            if len(self._body) > self._limit_bytes * _STEP_SHARE:
                self._is_cut = True
                return
            self._encoder.encode_into(event, self._body, -1)
            self._count += 1

    def call(
        self, interface: str, function: str, arguments: tuple[Any, ...], answer: Any, since_ns: int
    ) -> None:
        """Record a host call that began at `since_ns` of `time.perf_counter_ns` and is over."""
        at_us, took_us = (
            (end - begin) // 1000
            for begin, end in ((self._began_ns, since_ns), (since_ns, time.perf_counter_ns()))
        )
        plain = [to_plain(argument) for argument in arguments]
        self.add(Call(interface, function, plain, to_plain(answer), at_us, took_us))

    def end(self, outcome: Outcome) -> Step:
        """End the step; return it."""
        step = self._step(outcome)
        packed = zlib.compress(self._encoder.encode(step), _LEVEL)
        with self._order:
            self._running = False
            self._number += 1
            self._keep(packed)
        return step

    # Any thread may call this.

    def steps(self) -> Steps:
        """Return the steps that are kept, the running one included."""
        return self.copy()()

    def copy(self) -> Callable[[], Steps]:
        """Return what unpacks the steps that are kept now, which takes a while."""
        with self._order:
            running = [self._step(None)] if self._running else []
            packed = [*self._first, *(step for step, _ in self._newest)]
            newest = len(self._newest) + len(running)
            missing = self._missing
        return lambda: Steps([*map(_unpacked, packed), *running], missing, newest)

    @property
    def kept_bytes(self) -> int:
        """The memory that the kept steps take."""
        return self._first_bytes + self._newest_bytes

    def _step(self, outcome: Outcome | None) -> Step:
        count = self._count.to_bytes(_COUNT_BYTES, "big")
        return Step(
            self._number,
            self._began_ms,
            self._argument,
            _ARRAY + count + bytes(self._body),
            outcome,
            self._is_cut,
            self._state,
            self._no_state,
        )

    def _keep(self, step: bytes) -> None:
        size = len(step) + _OBJECT_BYTES
        if not self._newest and self._first_bytes + size <= self._limit_bytes * _FIRST_SHARE:
            self._first.append(step)
            self._first_bytes += size
            return
        has_state = self._state is not None
        self._newest.append((step, has_state))
        self._newest_bytes += size
        # The state's own bytes bring the next one no closer.
        was_taken = has_state or self._no_state
        self._since_state_bytes = 0 if was_taken else self._since_state_bytes + size
        while self._first_bytes + self._newest_bytes > self._limit_bytes and len(self._newest) > 1:
            self._drop_to_state()

    def _drop_to_state(self) -> None:
        """Drop the oldest step, and those after it up to one that begins with a state."""
        has_states = any(has_state for _, has_state in islice(self._newest, 1, None))
        while True:
            self._newest_bytes -= len(self._newest.popleft()[0]) + _OBJECT_BYTES
            self._missing += 1
            if not has_states or self._newest[0][1]:
                return


def _unpacked(packed: bytes) -> Step:
    return _DECODER.decode(zlib.decompress(packed))
