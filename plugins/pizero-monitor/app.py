"""Pi Zero monitor plugin: system health only, no LED, no buzzer."""

from own_health import OwnHealth
from wit_world import exports
from wit_world.exports.pi_monitor_logic import PiStats


class PiMonitorLogic(exports.PiMonitorLogic):
    def __init__(self) -> None:
        self._health = OwnHealth()

    def poll(self) -> PiStats:
        return self._health.stats(self._health.cpu_temperature_c())
