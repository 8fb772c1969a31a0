"""Room climate: temperature states with a deadband, humidity flags, LED colours, and their limits.

Pure: no sensor, LED or log.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of a room in degC and %RH, as the settings have them.

    A state is left only when the temperature has come back by the deadband.
    """

    high_c: float = 30.0
    low_c: float = 15.0
    deadband_c: float = 2.0
    warm_c: float = 25.0
    humid_pct: float = 70.0
    dry_pct: float = 25.0


DEFAULTS = Limits()

# Forty zero bits, whose checksum is right: the data line is held low.
_ALL_ZERO = (0.0, 0.0)
# Datasheet (Aosong AM2302) section 3, operating range; the limits belong to it.
_TEMPERATURE_RANGE_C = (-40.0, 80.0)
_HUMIDITY_RANGE_PCT = (0.0, 100.0)

# States of the temperature, and its bands in `plugin.toml`.
NORMAL = "normal"
WARM = "warm"
HIGH = "high"
LOW = "low"

_COLOR_OF = {NORMAL: "green", WARM: "orange", LOW: "blue", HIGH: "red"}
# From the least to the most urgent; magenta is a fault.
_COLORS = (*_COLOR_OF.values(), "magenta")


def invalid_answer(temperature_c: float, humidity_pct: float) -> str:
    """Return why an answer is no measurement, or nothing where it is one.

    >>> invalid_answer(0.0, 0.0), invalid_answer(0.0, 40.0), invalid_answer(21.0, 0.0)
    ('all bits are 0: is the data line held low?', '', '')
    """
    if (temperature_c, humidity_pct) == _ALL_ZERO:
        return "all bits are 0: is the data line held low?"
    for value, (low, high), unit in (
        (temperature_c, _TEMPERATURE_RANGE_C, "degC"),
        (humidity_pct, _HUMIDITY_RANGE_PCT, "%RH"),
    ):
        # Written so that NaN is outside, too.
        if not low <= value <= high:
            return f"answered {value:.1f} {unit}, expected {low:g} to {high:g}"
    return ""


def next_state(state: str, temperature_c: float, limits: Limits = DEFAULTS) -> str:
    """Return the state after `temperature_c`: high from 30.0 down to 28.0, low from 15.0 to 17.0.

    >>> next_state("normal", 30.0), next_state("high", 28.0), next_state("high", 27.9)
    ('high', 'high', 'normal')
    """
    deadband_c = limits.deadband_c
    if temperature_c >= limits.high_c - (deadband_c if state == HIGH else 0.0):
        return HIGH
    if temperature_c <= limits.low_c + (deadband_c if state == LOW else 0.0):
        return LOW
    return NORMAL


def band(state: str, temperature_c: float, limits: Limits = DEFAULTS) -> str:
    """Return the band of a temperature: its state, or warm where that is normal above 25 degC."""
    return WARM if state == NORMAL and temperature_c > limits.warm_c else state


def light(state: str, temperature_c: float, limits: Limits = DEFAULTS) -> str:
    """Return the LED's colour for a state and a temperature."""
    return _COLOR_OF[band(state, temperature_c, limits)]


def most_urgent(colors: Iterable[str]) -> str:
    """Return the colour that one LED shows for several rooms.

    >>> most_urgent(["green", "blue", "orange"])
    'blue'
    """
    return max(colors, key=_COLORS.index)


def humidity_flag(humidity_pct: float, limits: Limits = DEFAULTS) -> str:
    """Return "humid" above 70 %RH, "dry" below 25, else "comfortable"."""
    if humidity_pct > limits.humid_pct:
        return "humid"
    return "dry" if humidity_pct < limits.dry_pct else "comfortable"
