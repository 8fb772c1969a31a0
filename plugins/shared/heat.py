"""What a CPU's temperature means for the buzzer and the fan. Pure: degC in, decisions out.

`None` stands for a temperature that nobody measured.
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
    """Remembers whether the alarm for the present heat has been given."""

    def __init__(self) -> None:
        self._given = False

    def due(self, temperature_c: float | None) -> bool:
        """Whether to sound the alarm now: once on entering above 75 degC."""
        if temperature_c is None:
            return False
        if temperature_c <= HOT_C - ALARM_DEADBAND_C:
            self._given = False
        if self._given or temperature_c <= HOT_C:
            return False
        self._given = True
        return True


def fan_wanted(temperature_c: float | None, *, running: bool, had_thermometer: bool) -> bool:
    """Whether the fan should run: on from 60 degC, off below 50, as it was between them.

    A thermometer that was there and is gone says nothing about the heat, so the fan runs: noise is
    cheaper than a CPU. A machine that never had one keeps its fan as it is.
    """
    if temperature_c is None:
        return running or had_thermometer
    if temperature_c >= FAN_ON_C:
        return True
    return running and temperature_c >= FAN_OFF_C
