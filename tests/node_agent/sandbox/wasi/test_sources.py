"""Clocks of a guest and of wasmtime begin together."""

import time
from typing import cast

from wasmtime import Store, WasiConfig

from node_agent.sandbox.wasi import sources
from node_agent.sandbox.wasi.sources import LiveSources


class StalledMachine:
    """A store that begins late, the first times; `begun` is what began, in turn."""

    def __init__(self, stalls: int) -> None:
        self.begun: list[str] = []
        self.stalls = stalls

    def set_wasi(self, _config: WasiConfig) -> None:
        if self.stalls:
            self.stalls -= 1
            time.sleep(0.01)
        self.begun.append("wasmtime")


class NotedSources(LiveSources):
    def __init__(self, machine: StalledMachine) -> None:
        super().__init__()
        self._machine = machine

    def begin(self) -> None:
        super().begin()
        self._machine.begun.append("sources")


def begun(machine: StalledMachine, found: LiveSources | None) -> list[str]:
    sources.begin(cast(Store, machine), WasiConfig, found)
    return machine.begun


def test_the_sources_begin_first_so_that_no_wait_is_too_short() -> None:
    machine = StalledMachine(stalls=0)
    assert begun(machine, NotedSources(machine))[:2] == ["sources", "wasmtime"]


def test_clocks_that_a_stall_drove_apart_begin_again() -> None:
    machine = StalledMachine(stalls=3)
    found = begun(machine, NotedSources(machine))
    assert len(found) >= 8
    assert found == ["sources", "wasmtime"] * (len(found) // 2)


def test_without_sources_there_is_one_clock() -> None:
    assert begun(StalledMachine(stalls=1), None) == ["wasmtime"]
