"""The Raspberry Pi 4's own health: shows the CPU's heat on LED 3, beeps, and runs the fan."""

import math

from colors import COLORS
from heat import HOT_C, HeatAlarm, fan_wanted, heat_light
from wit_world import exports
from wit_world.exports.pi_monitor_logic import PiStats
from wit_world.imports import (
    buzzer_controller,
    fan_controller,
    gpio_provider,
    led_controller,
    system_info,
)

LED = 3
# Two beeps of 100 ms, 100 ms apart.
ALARM = (2, 100, 100)


class PiMonitorLogic(exports.PiMonitorLogic):
    def __init__(self) -> None:
        self._alarm = HeatAlarm()
        self._had_thermometer = False

    def poll(self) -> PiStats:
        cpu_c = gpio_provider.get_cpu_temp()
        self._react(None if math.isnan(cpu_c) else cpu_c)
        used_mb, total_mb = system_info.get_memory_usage()
        return PiStats(
            cpu_temp=cpu_c,
            cpu_usage=system_info.get_cpu_usage(),
            memory_used_mb=used_mb,
            memory_total_mb=total_mb,
            uptime_seconds=system_info.get_uptime(),
            timestamp_ms=gpio_provider.get_timestamp_ms(),
        )

    def _react(self, cpu_c: float | None) -> None:
        led_controller.set_led(LED, *COLORS[heat_light(cpu_c)])
        led_controller.sync_leds()
        if self._alarm.due(cpu_c):
            print(f"CPU: above {HOT_C:.0f} degC")
            buzzer_controller.beep(*ALARM)
        self._run_fan(cpu_c)

    def _run_fan(self, cpu_c: float | None) -> None:
        self._had_thermometer |= cpu_c is not None
        running = fan_controller.get_fan_state()
        wanted = fan_wanted(cpu_c, running=running, had_thermometer=self._had_thermometer)
        if wanted != running:
            fan_controller.set_fan(wanted)
