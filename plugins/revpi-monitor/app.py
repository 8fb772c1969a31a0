"""The RevPi's own health: shows the CPU's heat on LED 0 and beeps. It has no fan."""

from own_health import HeatWatch, cpu_temperature_c, stats
from wit_world import exports
from wit_world.exports.pi_monitor_logic import PiStats

LED = 0


class PiMonitorLogic(exports.PiMonitorLogic):
    def __init__(self) -> None:
        self._watch = HeatWatch(LED)

    def poll(self) -> PiStats:
        cpu_c = cpu_temperature_c()
        self._watch.react(cpu_c)
        return stats(cpu_c)
