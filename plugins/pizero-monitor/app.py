"""The Pi Zero's own health, in numbers only: no LED, no buzzer."""

from wit_world import exports
from wit_world.exports.pi_monitor_logic import PiStats
from wit_world.imports import gpio_provider, system_info


class PiMonitorLogic(exports.PiMonitorLogic):
    def poll(self) -> PiStats:
        used_mb, total_mb = system_info.get_memory_usage()
        return PiStats(
            cpu_temp=gpio_provider.get_cpu_temp(),
            cpu_usage=system_info.get_cpu_usage(),
            memory_used_mb=used_mb,
            memory_total_mb=total_mb,
            uptime_seconds=system_info.get_uptime(),
            timestamp_ms=gpio_provider.get_timestamp_ms(),
        )
