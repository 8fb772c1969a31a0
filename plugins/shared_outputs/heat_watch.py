"""CPU heat on an LED and the buzzer."""

from dataclasses import asdict

from heat import DEFAULTS, HeatAlarm, HeatLimits, heat_light
from setting import integer, numbers, switch
from status_leds import StatusLeds
from wit_world.imports import buzzer_controller, settings

# Two beeps of 100 ms, 100 ms apart.
ALARM = (2, 100, 100)


class HeatWatch:
    """Shows the CPU's heat on one LED, and beeps once when it gets hot.

    `led` is the one that the plugin lights by default.
    """

    def __init__(self, led: int) -> None:
        self._led = led
        self._leds = StatusLeds()
        self._alarm = HeatAlarm()

    def react(self, cpu_c: float | None) -> None:
        limits = HeatLimits(**numbers(settings.get, asdict(DEFAULTS)))
        self._leds.show({integer(settings.get, "led", self._led): heat_light(cpu_c, limits)})
        if self._alarm.due(cpu_c, limits):
            print(f"CPU: above {limits.cpu_hot_c:.0f} degC")
            if switch(settings.get, "alarm", default=True):
                buzzer_controller.beep(*ALARM)
