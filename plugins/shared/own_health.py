"""A Raspberry Pi's own health, as every monitor plugin reports it and shows it on an LED."""

import math

from colors import COLORS
from heat import HOT_C, HeatAlarm, heat_light
from wit_world.exports.pi_monitor_logic import PiStats
from wit_world.imports import buzzer_controller, gpio_provider, led_controller, system_info

# Two beeps of 100 ms, 100 ms apart.
ALARM = (2, 100, 100)


class HeatWatch:
    """Shows the CPU's heat on one LED, and beeps once when it gets hot."""

    def __init__(self, led: int) -> None:
        self._led = led
        self._alarm = HeatAlarm()

    def react(self, cpu_c: float | None) -> None:
        led_controller.set_led(self._led, *COLORS[heat_light(cpu_c)])
        led_controller.sync_leds()
        if self._alarm.due(cpu_c):
            print(f"CPU: above {HOT_C:.0f} degC")
            buzzer_controller.beep(*ALARM)


def cpu_temperature_c() -> float | None:
    """Return the CPU's temperature, None where nobody measured it."""
    cpu_c = gpio_provider.get_cpu_temp()
    return None if math.isnan(cpu_c) else cpu_c


def stats(cpu_c: float | None) -> PiStats:
    """Return what this machine tells of itself now."""
    used_mb, total_mb = system_info.get_memory_usage()
    return PiStats(
        cpu_temp=math.nan if cpu_c is None else cpu_c,
        cpu_usage=system_info.get_cpu_usage(),
        memory_used_mb=used_mb,
        memory_total_mb=total_mb,
        uptime_seconds=system_info.get_uptime(),
        timestamp_ms=gpio_provider.get_timestamp_ms(),
    )
