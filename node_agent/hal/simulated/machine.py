"""Simulated health of the node's machine: CPU temperature, load and memory of a scenario."""

import math
from collections.abc import Callable

from node_agent.hal.capabilities import CpuMeter
from node_agent.hal.simulated.scenario import Curve, Scenario


class SimulatedMachine:
    """Values of a scenario; what it does not set is left to the caller."""

    def __init__(self, scenario: Scenario, clock: Callable[[], float]) -> None:
        self._scenario = scenario
        self._clock = clock

    def cpu_temperature_c(self) -> float | None:
        temperature_c = self._now(self._scenario.cpu.temperature_c, "cpu temperature")
        return None if math.isnan(temperature_c) else temperature_c

    def cpu_meter(self) -> CpuMeter | None:
        """Return a meter of the scenario's load, None where it has none."""
        return None if self._scenario.cpu.usage_pct is None else self

    def percent(self) -> float | None:
        usage_pct = self._now(self._scenario.cpu.usage_pct or 0.0, "cpu usage")
        return None if math.isnan(usage_pct) else min(100.0, max(0.0, usage_pct))

    def memory_mb(self, real: tuple[int, int] | None) -> tuple[int, int] | None:
        """Return used and total memory; `real` is what the scenario does not set."""
        memory = self._scenario.memory
        if memory.used_mb is None and memory.total_mb is None:
            return real
        used_mb = self._megabytes(memory.used_mb, "memory used", real and real[0])
        total_mb = self._megabytes(memory.total_mb, "memory total", real and real[1])
        return None if used_mb is None or total_mb is None else (used_mb, total_mb)

    def _megabytes(self, curve: float | Curve | None, name: str, real: int | None) -> int | None:
        if curve is None:
            return real
        found_mb = self._now(curve, name)
        return None if math.isnan(found_mb) else max(0, round(found_mb))

    def _now(self, curve: float | Curve, name: str) -> float:
        return self._scenario.value(curve, name, self._clock())
