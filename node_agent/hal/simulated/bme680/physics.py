"""BME680 converter codes for given air: the inverse of the datasheet's compensation.

The formulas are those of the datasheet (BST-BME680-DS001, section 3.3). They are written apart from
the driver, so that chip and driver check each other.
"""

from collections.abc import Callable

import msgspec

ADC_20_BIT_MAX = 0xFFFFF
ADC_16_BIT_MAX = 0xFFFF
ADC_10_BIT_MAX = 0x3FF

# Section 3.4.1, table "const_array1" and "const_array2", as the percentages they stand for.
_GAS_RANGE_GAIN_PCT = (0, 0, 0, 0, 0, -1, 0, -0.8, 0, 0, -0.2, -0.5, 0, -1, 0, 0)
_GAS_RANGE_OFFSET_PCT = (0, 0, 0, 0, 0.1, 0.7, 0, -0.8, -0.1, 0, 0, 0, 0, 0, 0, 0)
_GAS_RANGES = range(16)
# The reference resistor's step at gas range 0, in the datasheet's unit 1/Ohm.
_GAS_STEP = 0.000000125


class Air(msgspec.Struct, frozen=True):
    """Air around the chip; `gas_ohm` is the hot plate's resistance at its set point."""

    temperature_c: float
    humidity_pct: float
    pressure_hpa: float
    gas_ohm: float


class Calibration(msgspec.Struct, frozen=True):
    """Calibration coefficients of one chip, named as in the datasheet. The default is typical."""

    t1: int = 26041
    t2: int = 26469
    t3: int = 3
    p1: int = 36477
    p2: int = -10373
    p3: int = 88
    p4: int = 7056
    p5: int = -64
    p6: int = 30
    p7: int = 46
    p8: int = -4111
    p9: int = -2636
    p10: int = 30
    h1: int = 727
    h2: int = 1013
    h3: int = 0
    h4: int = 45
    h5: int = 20
    h6: int = 120
    h7: int = -100
    gh1: int = -29
    gh2: int = -9139
    gh3: int = 18
    res_heat_range: int = 1
    res_heat_val: int = 48
    # Negative, so that a driver that reads this 4-bit number unsigned fails.
    range_sw_err: int = -2


def temperature_c(cal: Calibration, adc: float) -> float:
    """Section 3.3.1: 20-bit `adc` to degC."""
    return _t_fine(cal, adc) / 5120


def _t_fine(cal: Calibration, adc: float) -> float:
    offset = adc / 16384 - cal.t1 / 1024
    return offset * cal.t2 + (offset / 8) ** 2 * (cal.t3 * 16)


def pressure_pa(cal: Calibration, adc: float, t_c: float) -> float:
    """Section 3.3.2: 20-bit `adc` to Pa, at the temperature that the chip itself measured."""
    x = t_c * 5120 / 2 - 64000
    offset = (x * x * cal.p6 / 131072 + x * cal.p5 * 2) / 4 + cal.p4 * 65536
    scale = (cal.p3 * x * x / 16384 + cal.p2 * x) / 524288
    scale = (1 + scale / 32768) * cal.p1
    if not scale:
        return 0.0  # a chip whose calibration is blank
    p = (1048576 - adc - offset / 4096) * 6250 / scale
    curve = cal.p9 * p * p / 2147483648 + p * cal.p8 / 32768 + (p / 256) ** 3 * cal.p10 / 131072
    return p + (curve + cal.p7 * 128) / 16


def humidity_pct(cal: Calibration, adc: float, t_c: float) -> float:
    """Section 3.3.3: 16-bit `adc` to %RH, without the datasheet's clamp to 0 and 100."""
    gain = cal.h2 / 262144 * (1 + cal.h4 / 16384 * t_c + cal.h5 / 1048576 * t_c * t_c)
    x = (adc - _humidity_zero(cal, t_c)) * gain
    return x + (cal.h6 / 16384 + cal.h7 / 2097152 * t_c) * x * x


def _humidity_zero(cal: Calibration, t_c: float) -> float:
    return cal.h1 * 16 + cal.h3 / 2 * t_c


def gas_ohm(cal: Calibration, adc: float, gas_range: int) -> float:
    """Section 3.4.1: 10-bit `adc` and 4-bit range to Ohm."""
    gain = (1340 + 5 * cal.range_sw_err) * (1 + _GAS_RANGE_GAIN_PCT[gas_range] / 100)
    step = (1 + _GAS_RANGE_OFFSET_PCT[gas_range] / 100) * _GAS_STEP * (1 << gas_range)
    return 1 / (step * ((adc - 512) / gain + 1))


def gas_high_ohm(_: Calibration, adc: float, gas_range: int) -> float:
    """Return Ohm on a chip of the high-gas variant (BME688 datasheet, section 3.4.1)."""
    return 1000000 * (262144 >> gas_range) / (4096 + 3 * (adc - 512))


def heater_c(cal: Calibration, res_heat: int, ambient_c: float) -> float:
    """Section 3.3.5, inverted: the plate's temperature in degC at the set point `res_heat`."""
    x = res_heat / 3.4 + 25
    x *= (1 + cal.res_heat_val * 0.002) * (4 + cal.res_heat_range) / 4
    x -= cal.gh3 / 1024 * ambient_c
    slope = cal.gh2 / 32768 * 0.0005 + 0.00235
    return (x / (cal.gh1 / 16 + 49) - 1) / slope


def temperature_adc(cal: Calibration, t_c: float) -> int:
    return _solve(lambda adc: temperature_c(cal, adc), t_c, 0, ADC_20_BIT_MAX)


def pressure_adc(cal: Calibration, p_pa: float, t_c: float) -> int:
    return _solve(lambda adc: -pressure_pa(cal, adc, t_c), -p_pa, 0, ADC_20_BIT_MAX)


def humidity_adc(cal: Calibration, h_pct: float, t_c: float) -> int:
    zero = max(0, int(_humidity_zero(cal, t_c)))
    return _solve(lambda adc: humidity_pct(cal, adc, t_c), h_pct, zero, ADC_16_BIT_MAX)


def gas_adc(
    cal: Calibration, ohm: float, compensation: Callable[[Calibration, float, int], float] = gas_ohm
) -> tuple[int, int]:
    """Return the 10-bit reading and the 4-bit range that the chip would choose for `ohm`.

    The chip switches ranges to keep its converter near the middle; so does this. A resistance that
    fits no range gives the code at the end of the scale: 0 above all ranges, 1023 below.
    """

    def choice(gas_range: int) -> tuple[bool, float, int]:
        adc = _solve(lambda adc: -compensation(cal, adc, gas_range), -ohm, 0, ADC_10_BIT_MAX)
        if 0 < adc < ADC_10_BIT_MAX:
            return False, abs(adc - ADC_10_BIT_MAX / 2), adc
        return True, abs(compensation(cal, adc, gas_range) - ohm), adc

    best = min(_GAS_RANGES, key=choice)
    return choice(best)[2], best


def _solve(rising: Callable[[int], float], target: float, low: int, high: int) -> int:
    """Return the integer in `low`..`high` at which the `rising` function is nearest to `target`."""
    while high - low > 1:
        middle = (low + high) // 2
        if rising(middle) < target:
            low = middle
        else:
            high = middle
    return min(low, high, key=lambda adc: abs(rising(adc) - target))
