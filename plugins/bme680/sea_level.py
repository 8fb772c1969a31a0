"""Pressure at mean sea level, from the pressure at a station and its altitude. Pure.

It is the pressure that air of the standard atmosphere would have there (ISO 2533:1975, the
international barometric formula; aviation calls the result QNH). The measured temperature is not
used: it is a room's, while the formula needs that of the outside air. Where the outside air is not
as the standard has it, weather services, which measure it, differ: by some 3 hPa at 500 m and
0 degC.
"""

# ISO 2533:1975: temperature at sea level, its decrease with altitude, acceleration of gravity, and
# specific gas constant of dry air.
_SEA_LEVEL_K = 288.15
_LAPSE_K_PER_M = 0.0065
_GRAVITY_M_PER_S2 = 9.80665
_GAS_CONSTANT_J_PER_KG_K = 287.05287
_EXPONENT = _GRAVITY_M_PER_S2 / (_GAS_CONSTANT_J_PER_KG_K * _LAPSE_K_PER_M)


def sea_level_hpa(pressure_hpa: float | None, altitude_m: float) -> float | None:
    """Return the pressure at sea level of a station up to 11 000 m, where the formula ends.

    None where no pressure was measured, and at an altitude of 0, which stands for none: there the
    two pressures are the same.

    >>> round(sea_level_hpa(954.61, 500.0), 2)
    1013.25
    """
    if pressure_hpa is None or altitude_m == 0:
        return None
    ratio = 1 - _LAPSE_K_PER_M * altitude_m / _SEA_LEVEL_K
    return float(pressure_hpa * ratio**-_EXPONENT)
