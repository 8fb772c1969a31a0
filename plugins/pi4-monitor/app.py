"""Raspberry Pi 4 monitor plugin: system health; the CPU's heat on LED 3, buzzer and fan."""

from dataclasses import asdict

from heat import FAN_DEFAULTS, FanLimits, fan_wanted
from heat_watch import HeatWatch
from own_health import OwnHealth
from setting import numbers
from wit_world import exports
from wit_world.exports.pi_monitor_logic import PiStats
from wit_world.imports import fan_controller, settings

LED = 3


class PiMonitorLogic(exports.PiMonitorLogic):
    def __init__(self) -> None:
        self._watch = HeatWatch(LED)
        self._health = OwnHealth()
        self._had_thermometer = False

    def poll(self) -> PiStats:
        cpu_c = self._health.cpu_temperature_c()
        self._watch.react(cpu_c)
        self._run_fan(cpu_c)
        return self._health.stats(cpu_c)

    def _run_fan(self, cpu_c: float | None) -> None:
        self._had_thermometer |= cpu_c is not None
        running = fan_controller.get_fan_state()
        wanted = fan_wanted(
            cpu_c,
            running=running,
            had_thermometer=self._had_thermometer,
            limits=FanLimits(**numbers(settings.get, asdict(FAN_DEFAULTS))),
        )
        if wanted != running:
            fan_controller.set_fan(wanted)
