"""CPU heat on an LED and the buzzer."""

from colors import COLORS
from heat import HOT_C, HeatAlarm, heat_light
from wit_world.imports import buzzer_controller, led_controller

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
