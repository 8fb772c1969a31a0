"""RevPi monitor plugin: system health; the CPU's heat on LED 0 and the buzzer. It has no fan."""

from heat_watch import HeatWatch
from own_health import OwnHealth
from wit_world import exports
from wit_world.exports.pi_monitor_logic import PiStats

LED = 0


class PiMonitorLogic(exports.PiMonitorLogic):
    def __init__(self) -> None:
        self._watch = HeatWatch(LED)
        self._health = OwnHealth()

    def poll(self) -> PiStats:
        cpu_c = self._health.cpu_temperature_c()
        self._watch.react(cpu_c)
        return self._health.stats(cpu_c)
