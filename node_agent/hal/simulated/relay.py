"""Simulated relay with a log of its changes."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from node_agent.hal.capabilities import Relay
from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.simulated.recorder import Recorder

# More than any test or demonstration looks back at.
_REMEMBERED = 10_000


class RelayEvent(NamedTuple):
    """One level that was driven; `at_s` is on the monotonic clock."""

    at_s: float
    relay: Relay
    on: bool


class SimulatedRelay:
    """Released at first, by nobody: the first setting drives the pin and so is always an event.

    After that, setting it to what it is already is none.
    """

    def __init__(
        self,
        relay: Relay,
        recorder: Recorder,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._relay = relay
        self._recorder = recorder
        self._now = now
        self._lock = threading.Lock()
        self._driven: bool | None = None
        self._closed = False
        self._events: deque[RelayEvent] = deque(maxlen=_REMEMBERED)

    @property
    def on(self) -> bool:
        return bool(self._driven)

    @property
    def events(self) -> tuple[RelayEvent, ...]:
        with self._lock:
            return tuple(self._events)

    def set(self, *, on: bool) -> None:
        with self._lock:
            if self._closed:
                raise DeviceUnavailableError(f"the {self._relay.value} relay is closed")
            self._turn(on=on)

    def close(self) -> None:
        with self._lock:
            if self._driven is not None:
                self._turn(on=False)
            self._closed = True

    def _turn(self, *, on: bool) -> None:
        if on == self._driven:
            return
        self._driven = on
        self._events.append(RelayEvent(self._now(), self._relay, on))
        self._recorder.record("relay", relay=self._relay.value, on=on)
