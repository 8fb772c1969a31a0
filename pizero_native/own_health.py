"""System health of this machine as a reading; what is not measured is absent, with a fault."""

from collections.abc import Callable
from typing import TypeVar

from bus.contract.messages import Value
from bus.fault import Fault
from node_agent.hal import system
from node_agent.hal.capabilities import Hardware

T = TypeVar("T")

SENSOR_ID = "pizero-monitor"


class OwnHealth:
    """CPU temperature (degC), CPU load (%), memory (MB) and uptime (s) of this machine."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self._cpu_meter = hardware.cpu_meter()
        self._temperature_fault = Fault("CPU temperature")
        self._memory_fault = Fault("memory")

    def sample(self) -> dict[str, Value]:
        used_mb, total_mb = self._hardware.memory_mb() or (None, None)
        cpu_temp_c = self._hardware.cpu_temperature_c()
        _report(self._memory_fault, "/proc/meminfo has no MemAvailable", used_mb)
        _report(self._temperature_fault, "no thermal zone of a CPU has a valid value", cpu_temp_c)
        cpu_usage_pct = _measured(self._cpu_meter.percent)
        uptime_s = _measured(system.uptime_s)
        found: dict[str, Value | None] = {
            "cpu_temp": None if cpu_temp_c is None else round(cpu_temp_c, 1),
            "cpu_usage": None if cpu_usage_pct is None else round(cpu_usage_pct, 1),
            "memory_used_mb": used_mb,
            "memory_total_mb": total_mb,
            "uptime_seconds": None if uptime_s is None else int(uptime_s),
        }
        return {key: value for key, value in found.items() if value is not None}


def _report(fault: Fault, reason: str, value: float | None) -> None:
    if value is None:
        fault.failed(reason)
    else:
        fault.worked()


def _measured(measure: Callable[[], T]) -> T | None:
    """Return what `measure` returns, or None where the kernel's file is missing or unreadable."""
    try:
        return measure()
    except (OSError, ValueError, LookupError):
        return None
