"""System health from /proc and /sys: CPU temperature, memory, load, uptime.

The same for real and simulated hardware. Every function takes the root of the files, for tests. A
value that this machine does not measure is None, never a number.
"""

import os
import re
import threading
from collections.abc import Container, Iterable
from pathlib import Path

ROOT = Path("/")
# Types of thermal zones that measure a CPU, the best first. A zone of another type (Wi-Fi, battery,
# disk, GPU) never stands in. acpitz is what a PC's firmware calls its own.
_CPU_ZONE_TYPES = (
    re.compile(r"cpu[-_]?thermal"),
    re.compile(r".*cpu.*|bcm2\d{3}_thermal"),
    re.compile(r"soc.*|x86_pkg_temp|coretemp|package.*"),
    re.compile(r"acpitz"),
)
# degC. Silicon is rated for -55 to 125 and switches itself off below 150; the kernel's -273.2 and
# -274 stand for "no value".
_CPU_RANGE_C = (-55.0, 150.0)
_BYTES_PER_MB = 1024 * 1024
_KB_PER_MB = 1024


def cpu_temperature_c(root: Path = ROOT) -> float | None:
    """Return the CPU's temperature in degC, or None where no zone of a CPU has a valid value."""
    for zone in _cpu_zones(root):
        try:
            # The kernel gives millidegrees (Documentation/driver-api/thermal/sysfs-api.rst).
            temperature_c = int((zone / "temp").read_text()) / 1000
        except (OSError, ValueError):
            continue  # a zone that is switched off answers EAGAIN or ENODATA
        if _CPU_RANGE_C[0] <= temperature_c <= _CPU_RANGE_C[1]:
            return temperature_c
    return None


def memory_mb(root: Path = ROOT) -> tuple[int, int] | None:
    """Return used and total memory in MB, or None where the kernel does not give both.

    Memory that the kernel could free at once counts as unused (MemAvailable, since Linux 3.14).
    """
    try:
        lines = (root / "proc/meminfo").read_text(errors="replace").splitlines()
        fields = _first_numbers(lines, ("MemTotal", "MemAvailable"))
        total_kb, available_kb = fields["MemTotal"], fields["MemAvailable"]
    except (OSError, LookupError, ValueError):
        return None
    if not 0 <= available_kb <= total_kb or not total_kb:
        return None
    return (total_kb - available_kb) // _KB_PER_MB, total_kb // _KB_PER_MB


def uptime_s(root: Path = ROOT) -> float:
    """Return the seconds since boot."""
    return float((root / "proc/uptime").read_text().split()[0])


def rss_mb(root: Path = ROOT) -> float:
    """Return this process's resident memory in MB."""
    pages = int((root / "proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _BYTES_PER_MB


class CpuUsage:
    """CPU load in percent of all cores since the last call.

    Any thread may call; the first answer covers the time since construction.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._idle, self._total = self._ticks()

    def percent(self) -> float | None:
        """Return 0 to 100, or None where no tick has passed since the last call."""
        with self._lock:
            idle, total = self._ticks()
            idle_ticks, ticks = idle - self._idle, total - self._total
            if ticks <= 0:
                return None
            self._idle, self._total = idle, total
        # iowait may step back (proc(5)): idle time seems longer than the interval, or negative.
        return min(100.0, max(0.0, 100.0 * (1 - idle_ticks / ticks)))

    def _ticks(self) -> tuple[int, int]:
        with (self._root / "proc/stat").open() as stat:
            # user nice system idle iowait irq softirq steal; guest time is in user already.
            ticks = [int(field) for field in stat.readline().split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)


def _cpu_zones(root: Path) -> list[Path]:
    """Return the thermal zones of CPUs, the best first."""
    zones = sorted(root.glob("sys/class/thermal/thermal_zone*"), key=_zone_number)
    types = {zone: _zone_type(zone).lower() for zone in zones}
    return [zone for pattern in _CPU_ZONE_TYPES for zone in zones if pattern.fullmatch(types[zone])]


def _zone_number(zone: Path) -> int:
    digits = zone.name.removeprefix("thermal_zone")
    return int(digits) if digits.isdecimal() else 0


def _zone_type(zone: Path) -> str:
    try:
        return (zone / "type").read_text().strip()
    except (OSError, ValueError):
        return ""


def _first_numbers(lines: Iterable[str], names: Container[str]) -> dict[str, int]:
    """Return the numbers of the `name: number kB` lines that are called so."""
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name: int(rest.split()[0]) for name, rest in pairs if name in names}
