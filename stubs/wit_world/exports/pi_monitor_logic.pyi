# Written by `harvester plugins stubs` from wit/plugin.wit.

from dataclasses import dataclass

@dataclass
class PiStats:
    cpu_temp: float
    cpu_usage: float
    memory_used_mb: int
    memory_total_mb: int
    uptime_seconds: int
    timestamp_ms: int
