"""CPU temperature limits: LED colour, alarm and fan. Pure.

`None` stands for a temperature that was not measured.
"""

# degC. The firmware slows the CPU down at 80 to 85 (raspberrypi.com, "Frequency management and
# thermal control"), so the alarm comes before that.
HOT_C = 75.0
WARM_C = 60.0
# The alarm sounds again only after the CPU was this much cooler than HOT_C.
ALARM_DEADBAND_C = 2.0

FAN_ON_C = 60.0
FAN_OFF_C = 50.0


def heat_light(temperature_c: float | None) -> str:
    """Return the LED's colour: red above 75 degC, orange above 60, else green; dark without one."""
    if temperature_c is None:
        return "dark"
    if temperature_c > HOT_C:
        return "red"
    return "orange" if temperature_c > WARM_C else "green"


class HeatAlarm:
    """Alarm that sounds once on entering the range above 75 degC."""

    def __init__(self) -> None:
        self._given = False

    def due(self, temperature_c: float | None) -> bool:
        """Return whether to sound the alarm now."""
        if temperature_c is None:
            return False
        if temperature_c <= HOT_C - ALARM_DEADBAND_C:
            self._given = False
        if self._given or temperature_c <= HOT_C:
            return False
        self._given = True
        return True


def fan_wanted(temperature_c: float | None, *, running: bool, had_thermometer: bool) -> bool:
    """Return whether the fan should run: on from 60 degC, off below 50, unchanged in between.

    Where a thermometer has failed, the CPU may be hot, so the fan runs. A machine that never had
    one keeps its fan as it is.
    """
    if temperature_c is None:
        return running or had_thermometer
    if temperature_c >= FAN_ON_C:
        return True
    return running and temperature_c >= FAN_OFF_C
