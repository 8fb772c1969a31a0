"""The machine's own health from /proc and /sys, the same for real and simulated hardware.

Every function takes the files' root so that it can be tested; a value that this machine cannot
measure is None, never a number.
"""

import os
import threading
from collections.abc import Iterable
from pathlib import Path

ROOT = Path("/")
# The kernel's thermal zones in the order in which one is believed to be the CPU's.
_CPU_ZONE_TYPES = ("cpu-thermal", "cpu_thermal", "soc-thermal", "x86_pkg_temp", "acpitz")
_BYTES_PER_MB = 1024 * 1024
_KB_PER_MB = 1024


def cpu_temperature_c(root: Path = ROOT) -> float | None:
    """Return the CPU's temperature in degC, or None where this machine has no thermal zone."""
    for zone in _zones_by_likelihood(root):
        try:
            # The kernel gives millidegrees (Documentation/driver-api/thermal/sysfs-api.rst).
            return int((zone / "temp").read_text()) / 1000
        except (OSError, ValueError):
            continue  # a zone that is switched off answers EAGAIN or ENODATA
    return None


def memory_mb(root: Path = ROOT) -> tuple[int, int]:
    """Return used and total memory in MB; what the kernel could free at once counts as unused."""
    fields = _first_numbers((root / "proc/meminfo").read_text().splitlines())
    total_kb, available_kb = fields["MemTotal"], fields["MemAvailable"]
    return (total_kb - available_kb) // _KB_PER_MB, total_kb // _KB_PER_MB


def uptime_s(root: Path = ROOT) -> float:
    """Return the seconds since boot."""
    return float((root / "proc/uptime").read_text().split()[0])


def rss_mb(root: Path = ROOT) -> float:
    """Return this process's resident memory in MB."""
    pages = int((root / "proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _BYTES_PER_MB


def boot_id(root: Path = ROOT) -> str:
    """Return the id that the kernel drew at boot: it changes with every restart of the machine."""
    return (root / "proc/sys/kernel/random/boot_id").read_text().strip()


class CpuUsage:
    """CPU load in percent of all cores over the interval since it was last asked.

    Any thread may ask; the first answer covers the time since construction.
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
        # iowait may step back (proc(5)), so that idle time can seem longer than the interval.
        return max(0.0, 100.0 * (1 - idle_ticks / ticks))

    def _ticks(self) -> tuple[int, int]:
        with (self._root / "proc/stat").open() as stat:
            # user nice system idle iowait irq softirq steal; guest time is in user already.
            ticks = [int(field) for field in stat.readline().split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)


def _zones_by_likelihood(root: Path) -> list[Path]:
    found = {
        zone: _zone_type(zone) for zone in sorted(root.glob("sys/class/thermal/thermal_zone*"))
    }
    rank = {name: position for position, name in enumerate(_CPU_ZONE_TYPES)}
    return sorted(found, key=lambda zone: rank.get(found[zone], len(rank)))


def _zone_type(zone: Path) -> str:
    try:
        return (zone / "type").read_text().strip()
    except OSError:
        return ""


def _first_numbers(lines: Iterable[str]) -> dict[str, int]:
    """Return `name: number kB` lines as numbers by name."""
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name: int(rest.split()[0]) for name, rest in pairs}
