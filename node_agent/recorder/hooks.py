"""Hooks of the flight recorder: host functions, clocks and randomness that record."""

import time
from functools import partial
from typing import Any

from node_agent.recorder.events import Monotonic, Random, Wall
from node_agent.recorder.recorder import Recorder
from node_agent.sandbox.instance import HostFunction, Imports
from node_agent.sandbox.wasi.sources import WasiSources


def recorded(imports: Imports, recorder: Recorder) -> Imports:
    """Return `imports` such that every call is recorded when it is over."""

    def called(interface: str, name: str, function: HostFunction, *arguments: Any) -> Any:
        since_ns = time.perf_counter_ns()
        answer = function(*arguments)
        recorder.call(interface, name, arguments, answer, since_ns)
        return answer

    return {
        interface: {
            name: partial(called, interface, name, function) for name, function in functions.items()
        }
        for interface, functions in imports.items()
    }


class RecordedSources:
    """Sources of time and randomness that record what they give."""

    def __init__(self, sources: WasiSources, recorder: Recorder) -> None:
        self._sources = sources
        self._recorder = recorder
        self.waits = sources.waits

    @property
    def is_asleep(self) -> bool:
        return self._sources.is_asleep

    def elapsed_ns(self) -> int:
        return self._sources.elapsed_ns()

    def monotonic_ns(self) -> int:
        ns = self._sources.monotonic_ns()
        self._recorder.add(Monotonic(ns))
        return ns

    def wall_ns(self) -> int:
        ns = self._sources.wall_ns()
        self._recorder.add(Wall(ns))
        return ns

    def random_bytes(self, count: int) -> bytes:
        content = self._sources.random_bytes(count)
        self._recorder.add(Random(content))
        return content
