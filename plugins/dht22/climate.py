"""What a room's temperature and humidity mean: a state machine with a deadband, and flags.

Pure: it knows neither sensor nor LED nor log.
"""

# degC. A state is left only when the temperature has come back by the deadband.
HIGH_C = 30.0
LOW_C = 15.0
DEADBAND_C = 2.0
WARM_C = 25.0

# %RH
HUMID_PCT = 70.0
DRY_PCT = 25.0

# What forty zero bits say, and their checksum agrees: a line that is held low, not dry air.
_NO_BITS = (0.0, 0.0)

NORMAL = "normal"
HIGH = "high"
LOW = "low"


def doubt(temperature_c: float, humidity_pct: float) -> str:
    """Return why an answer can't be true, or nothing where it can.

    >>> doubt(0.0, 0.0), doubt(0.0, 40.0), doubt(21.0, 0.0)
    ('all bits are 0: is the data line held low?', '', '')
    """
    if (temperature_c, humidity_pct) == _NO_BITS:
        return "all bits are 0: is the data line held low?"
    return ""


def next_state(state: str, temperature_c: float) -> str:
    """Return the state after `temperature_c`: high from 30.0 down to 28.0, low from 15.0 to 17.0.

    >>> next_state("normal", 30.0), next_state("high", 28.0), next_state("high", 27.9)
    ('high', 'high', 'normal')
    """
    if temperature_c >= HIGH_C or (state == HIGH and temperature_c >= HIGH_C - DEADBAND_C):
        return HIGH
    if temperature_c <= LOW_C or (state == LOW and temperature_c <= LOW_C + DEADBAND_C):
        return LOW
    return NORMAL


def light(state: str, temperature_c: float) -> str:
    """Return the LED's colour for a state and, where that is normal, a temperature."""
    if state == HIGH:
        return "red"
    if state == LOW:
        return "blue"
    return "orange" if temperature_c > WARM_C else "green"


def humidity_flag(humidity_pct: float) -> str:
    """Return "humid" above 70 %RH, "dry" below 25, else "comfortable"."""
    if humidity_pct > HUMID_PCT:
        return "humid"
    return "dry" if humidity_pct < DRY_PCT else "comfortable"
