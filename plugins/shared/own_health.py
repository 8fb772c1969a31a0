"""System health of a Raspberry Pi, as every monitor plugin reports it."""

import math
import time

from faults import FaultLog
from wit_world.exports.pi_monitor_logic import PiStats
from wit_world.imports import gpio_provider, system_info

# Memory that the machine does not measure (WIT contract, get-memory-usage).
NOT_MEASURED_MB = 0xFFFF_FFFF


class OwnHealth:
    """Values of this machine, and a fault for each that it does not measure."""

    def __init__(self) -> None:
        self._temperature_faults = FaultLog("CPU temperature")
        self._memory_faults = FaultLog("memory")

    def cpu_temperature_c(self) -> float | None:
        """Return the CPU's temperature, None where it was not measured."""
        cpu_c = gpio_provider.get_cpu_temp()
        measured = not math.isnan(cpu_c)
        _log(
            self._temperature_faults,
            "" if measured else "no thermal zone of a CPU has a valid value",
        )
        return cpu_c if measured else None

    def stats(self, cpu_c: float | None) -> PiStats:
        """Return the reading of this moment."""
        used_mb, total_mb = system_info.get_memory_usage()
        measured = NOT_MEASURED_MB not in (used_mb, total_mb)
        _log(self._memory_faults, "" if measured else "/proc/meminfo has no MemAvailable")
        return PiStats(
            cpu_temp=math.nan if cpu_c is None else cpu_c,
            cpu_usage=system_info.get_cpu_usage(),
            memory_used_mb=used_mb,
            memory_total_mb=total_mb,
            uptime_seconds=system_info.get_uptime(),
            timestamp_ms=gpio_provider.get_timestamp_ms(),
        )


def _log(faults: FaultLog, reason: str) -> None:
    now_s = time.monotonic()
    line = faults.failed(reason, now_s) if reason else faults.worked(now_s)
    if line:
        print(line)
