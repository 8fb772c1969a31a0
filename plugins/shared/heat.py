"""CPU temperature limits: LED colour, alarm and fan. Pure.

`None` stands for a temperature that was not measured.
"""

from dataclasses import dataclass

# degC. The firmware slows the CPU down at 80 to 85 (raspberrypi.com, "Frequency management and
# thermal control"), so the alarm comes before that.
HOT_C = 75.0
WARM_C = 60.0
# The alarm sounds again only after the CPU was this much cooler than HOT_C.
ALARM_DEADBAND_C = 2.0

FAN_ON_C = 60.0
FAN_OFF_C = 50.0


@dataclass(frozen=True)
class HeatLimits:
    """Limits of LED and alarm in degC, as the settings have them."""

    cpu_hot_c: float = HOT_C
    cpu_warm_c: float = WARM_C
    cpu_deadband_c: float = ALARM_DEADBAND_C


DEFAULTS = HeatLimits()


@dataclass(frozen=True)
class FanLimits:
    """Limits of the fan in degC, as the settings have them."""

    fan_on_c: float = FAN_ON_C
    fan_off_c: float = FAN_OFF_C


FAN_DEFAULTS = FanLimits()


def heat_light(temperature_c: float | None, limits: HeatLimits = DEFAULTS) -> str:
    """Return the LED's colour: red above 75 degC, orange above 60, else green; dark without one."""
    if temperature_c is None:
        return "dark"
    if temperature_c > limits.cpu_hot_c:
        return "red"
    return "orange" if temperature_c > limits.cpu_warm_c else "green"


class HeatAlarm:
    """Alarm that sounds once on entering the range above 75 degC."""

    def __init__(self) -> None:
        self._given = False

    def due(self, temperature_c: float | None, limits: HeatLimits = DEFAULTS) -> bool:
        """Return whether to sound the alarm now."""
        if temperature_c is None:
            return False
        if temperature_c <= limits.cpu_hot_c - limits.cpu_deadband_c:
            self._given = False
        if self._given or temperature_c <= limits.cpu_hot_c:
            return False
        self._given = True
        return True


def fan_wanted(
    temperature_c: float | None,
    *,
    running: bool,
    had_thermometer: bool,
    limits: FanLimits = FAN_DEFAULTS,
) -> bool:
    """Return whether the fan should run: on from 60 degC, off below 50, unchanged in between.

    Where a thermometer has failed, the CPU may be hot, so the fan runs. A machine that never had
    one keeps its fan as it is.
    """
    if temperature_c is None:
        return running or had_thermometer
    if temperature_c >= limits.fan_on_c:
        return True
    return running and temperature_c >= limits.fan_off_c
