"""Driver of the Bosch BME680 over I2C: registers, timing and compensation formulas.

It uses the standard library only, so that it runs under CPython and inside the sandbox. Bus and
clock are passed in as `transfer` and `sleep_s`. For the same reason its errors derive from plain
Exception rather than from the system's own tree; callers translate them.

Source: BST-BME680-DS001 revision 1.0 (datasheet), by its sections and register names, and the
formulas of its floating-point code, whose names par_x and var1 are kept. The BME688 has the same
chip id but other gas registers and another gas formula (BST-BME688-DS000); its variant id tells the
two apart.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

CHIP_ID = 0x61
VARIANT_GAS_LOW = 0x00  # BME680
VARIANT_GAS_HIGH = 0x01  # BME688

# Registers (datasheet table 16, "memory map"; coefficients: tables of the formulas).
_COEFFICIENTS_3, _COEFFICIENTS_3_LEN = 0x00, 5
_FIELD_0, _FIELD_LEN = 0x1D, 17
_RES_HEAT_0 = 0x5A
_GAS_WAIT_0 = 0x64
_CTRL_GAS_0 = 0x70
_CTRL_GAS_1 = 0x71
_CTRL_HUM = 0x72
_CTRL_MEAS = 0x74
_CONFIG = 0x75
_COEFFICIENTS_1, _COEFFICIENTS_1_LEN = 0x8A, 23
_CHIP_ID = 0xD0
_RESET = 0xE0
_COEFFICIENTS_2, _COEFFICIENTS_2_LEN = 0xE1, 14
_VARIANT_ID = 0xF0

_RESET_COMMAND = 0xB6
# The datasheet has 2 ms from power-on to the first communication; Bosch's driver waits 10.
_RESET_S = 0.010

# meas_status_0 and gas_r_lsb (datasheet section 5.3.5)
_NEW_DATA = 0x80
_GAS_MEASURING = 0x40
_MEASURING = 0x20
_GAS_VALID = 0x20
_HEATER_STABLE = 0x10
_GAS_RANGE = 0x0F

# Oversampling: temperature x8, pressure x4, humidity x2; IIR filter off, so that no value carries
# an older one (datasheet section 5.3.2).
_OSRS_T, _OSRS_P, _OSRS_H = 4, 3, 2
_FORCED = 0x01
_CTRL_MEAS_FORCED = _OSRS_T << 5 | _OSRS_P << 2 | _FORCED
_FILTER_OFF = 0x00
_HEATER_ON = 0x00
_NO_GAS = 0x00
_RUN_GAS = {VARIANT_GAS_LOW: 0x10, VARIANT_GAS_HIGH: 0x20}

# 14 conversions at the above oversampling of 1963 us each, 9 switching steps of 477 us, 1 ms to
# wake up (the durations of Bosch's driver; the datasheet gives none).
_TPH_S = (14 * 1963 + 9 * 477 + 1000) / 1e6
# The bits of a conversion that has begun show within this, and well before its end.
_START_POLL_S = 0.003
_START_POLLS = 4
_POLL_S = 0.005
# How long past its nominal end a measurement may take.
_GRACE_S = 0.250

# A skipped measurement reads as these codes, and so do the data registers after a reset (section
# 5.3.4). A true value that has exactly this code is lost for one measurement.
_SKIPPED_20_BIT, _SKIPPED_16_BIT = 0x80000, 0x8000
# A converter at either end of its scale is saturated: the true value is off the scale.
_MAX_20_BIT, _MAX_16_BIT, _MAX_GAS = 0xFFFFF, 0xFFFF, 0x3FF


class Bme680Error(Exception):
    """Base class of this module's errors; `transfer`'s own errors pass through unchanged."""


class WrongChipError(Bme680Error):
    """The device at this address is no chip that this driver can read."""


class BadCalibrationError(Bme680Error):
    """The calibration read from the chip makes a formula divide by zero."""


class GarbledError(Bme680Error):
    """Two reads of the same registers differ. The chip has no checksum, so reads are compared."""


class NoMeasurementError(Bme680Error):
    """The chip did not begin or finish a measurement in time, or did not measure temperature."""


@dataclass(frozen=True)
class Calibration:
    """Calibration coefficients of one chip: par_t1 to par_h7, heater and gas."""

    t1: int
    t2: int
    t3: int
    p1: int
    p2: int
    p3: int
    p4: int
    p5: int
    p6: int
    p7: int
    p8: int
    p9: int
    p10: int
    h1: int
    h2: int
    h3: int
    h4: int
    h5: int
    h6: int
    h7: int
    gh1: int
    gh2: int
    gh3: int
    res_heat_range: int
    res_heat_val: int
    range_sw_err: int


@dataclass(frozen=True)
class Heater:
    """Set point of the gas sensor's heater, and how long it heats before gas is measured.

    The datasheet has 200 to 400 degC and 1 to 4032 ms, of which it takes 20 to 30 to get hot
    (section 3.3.5).
    """

    target_c: float = 320.0
    duration_ms: int = 150


class Missing(NamedTuple):
    """A quantity that was not measured, and the reason."""

    quantity: str
    reason: str


# The names in `Missing`.
TEMPERATURE, PRESSURE, HUMIDITY, GAS = QUANTITIES = ("temperature", "pressure", "humidity", "gas")


@dataclass(frozen=True)
class Measurement:
    """One new measurement. What was not measured is None, and `missing` gives the reason."""

    temperature_c: float | None
    humidity_pct: float | None
    pressure_hpa: float | None
    gas_resistance_ohm: float | None
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True)
class Field:
    """Data registers of one measurement, read in one burst."""

    new_data: bool
    measuring: bool
    temperature_adc: int
    pressure_adc: int
    humidity_adc: int
    gas_adc: int
    gas_range: int
    gas_valid: bool
    heater_stable: bool


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value & 1 << bits - 1 else value


def decode_calibration(first: bytes, second: bytes, third: bytes) -> Calibration:
    """Return the coefficients in the registers from 0x8A (23), 0xE1 (14) and 0x00 (5)."""

    def u8(block: bytes, at: int) -> int:
        return block[at]

    def s8(block: bytes, at: int) -> int:
        return _signed(block[at], 8)

    def u16(block: bytes, at: int) -> int:
        return block[at] | block[at + 1] << 8

    def s16(block: bytes, at: int) -> int:
        return _signed(u16(block, at), 16)

    return Calibration(
        t1=u16(second, 8),
        t2=s16(first, 0),
        t3=s8(first, 2),
        p1=u16(first, 4),
        p2=s16(first, 6),
        p3=s8(first, 8),
        p4=s16(first, 10),
        p5=s16(first, 12),
        p6=s8(first, 15),
        p7=s8(first, 14),
        p8=s16(first, 18),
        p9=s16(first, 20),
        p10=u8(first, 22),
        # h1 and h2 are 12 bits each and share the register 0xE2: h2 has its high nibble.
        h1=second[2] << 4 | second[1] & 0x0F,
        h2=second[0] << 4 | second[1] >> 4,
        h3=s8(second, 3),
        h4=s8(second, 4),
        h5=s8(second, 5),
        h6=u8(second, 6),
        h7=s8(second, 7),
        gh1=s8(second, 12),
        gh2=s16(second, 10),
        gh3=s8(second, 13),
        res_heat_range=third[2] >> 4 & 0x03,
        res_heat_val=s8(third, 0),
        # The high nibble of 0x04 is a signed number; read unsigned, gas is off by up to 6 %.
        range_sw_err=_signed(third[4] >> 4, 4),
    )


def decode_field(registers: bytes, variant: int) -> Field:
    """Return the fields in the 17 registers from 0x1D."""
    gas_at = 15 if variant == VARIANT_GAS_HIGH else 13
    gas_msb, gas_lsb = registers[gas_at], registers[gas_at + 1]
    return Field(
        new_data=bool(registers[0] & _NEW_DATA),
        measuring=bool(registers[0] & (_MEASURING | _GAS_MEASURING)),
        pressure_adc=registers[2] << 12 | registers[3] << 4 | registers[4] >> 4,
        temperature_adc=registers[5] << 12 | registers[6] << 4 | registers[7] >> 4,
        humidity_adc=registers[8] << 8 | registers[9],
        gas_adc=gas_msb << 2 | gas_lsb >> 6,
        gas_range=gas_lsb & _GAS_RANGE,
        gas_valid=bool(gas_lsb & _GAS_VALID),
        heater_stable=bool(gas_lsb & _HEATER_STABLE),
    )


def fine_temperature(adc: int, c: Calibration) -> float:
    """Return the temperature in 1/5120 degC, which the other formulas start from."""
    var1 = (adc / 16384 - c.t1 / 1024) * c.t2
    var2 = (adc / 131072 - c.t1 / 8192) ** 2 * (c.t3 * 16)
    return var1 + var2


def temperature_c(t_fine: float) -> float:
    return t_fine / 5120


def pressure_hpa(adc: int, t_fine: float, c: Calibration) -> float:
    """Return the pressure. Raises BadCalibrationError where the formula divides by zero."""
    var1 = t_fine / 2 - 64000
    var2 = var1 * var1 * (c.p6 / 131072)
    var2 += var1 * c.p5 * 2
    var2 = var2 / 4 + c.p4 * 65536
    var1 = (c.p3 * var1 * var1 / 16384 + c.p2 * var1) / 524288
    var1 = (1 + var1 / 32768) * c.p1
    if int(var1) == 0:
        raise BadCalibrationError(f"par_p1 {c.p1}, par_p2 {c.p2}, par_p3 {c.p3} allow no pressure")
    pressure_pa = (1048576 - adc - var2 / 4096) * 6250 / var1
    var1 = c.p9 * pressure_pa * pressure_pa / 2147483648
    var2 = pressure_pa * (c.p8 / 32768)
    var3 = (pressure_pa / 256) ** 3 * (c.p10 / 131072)
    return (pressure_pa + (var1 + var2 + var3 + c.p7 * 128) / 16) / 100


def humidity_pct(adc: int, t_fine: float, c: Calibration) -> float:
    """Return the relative humidity, clamped to 0 to 100 %RH as the datasheet's own code does."""
    return min(100.0, max(0.0, unclamped_humidity_pct(adc, t_fine, c)))


def unclamped_humidity_pct(adc: int, t_fine: float, c: Calibration) -> float:
    """Return the relative humidity before the datasheet's clamp."""
    temp = t_fine / 5120
    var1 = adc - (c.h1 * 16 + c.h3 / 2 * temp)
    var2 = var1 * (c.h2 / 262144 * (1 + c.h4 / 16384 * temp + c.h5 / 1048576 * temp * temp))
    return var2 + (c.h6 / 16384 + c.h7 / 2097152 * temp) * var2 * var2


# Corrections per gas range in percent (section 3.4.1 has them multiplied out).
_K1_PCT = (0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, -0.8, 0.0, 0.0, -0.2, -0.5, 0.0, -1.0, 0.0, 0.0)
_K2_PCT = (0.0, 0.0, 0.0, 0.0, 0.1, 0.7, 0.0, -0.8, -0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def gas_resistance_ohm(field: Field, c: Calibration, variant: int) -> float:
    """Return the resistance of the gas sensor (3.4.1; the BME688's has no coefficients)."""
    if variant == VARIANT_GAS_HIGH:
        return 1e6 * (262144 >> field.gas_range) / (4096 + 3 * (field.gas_adc - 512))
    var1 = (1340 + 5 * c.range_sw_err) * (1 + _K1_PCT[field.gas_range] / 100)
    var2 = 1 + _K2_PCT[field.gas_range] / 100
    ratio = (field.gas_adc - 512) / var1 + 1
    return 1 / (var2 * 0.000000125 * (1 << field.gas_range) * ratio)


def heater_code(target_c: float, ambient_c: int, c: Calibration) -> int:
    """Return res_heat_x for a heater at `target_c` in air of `ambient_c` (table 11).

    In single precision, step by step as Bosch's driver has it: the result is cut off to a whole
    number, and near one the last bit decides.
    """
    var1 = _single(c.gh1 / 16 + 49)
    var2 = _single(_single(c.gh2 / 32768 * _single(0.0005)) + _single(0.00235))
    var3 = c.gh3 / 1024
    hot = min(target_c, 400.0)  # the limit of the heater
    var4 = _single(var1 * _single(1 + _single(var2 * hot)))
    var5 = _single(var4 + _single(var3 * ambient_c))
    by_range = _single(4 / (4 + c.res_heat_range))
    by_value = _single(1 / _single(1 + _single(c.res_heat_val * _single(0.002))))
    resistance = _single(_single(var5 * by_range) * by_value)
    # One byte, as the datasheet's cast has it. A chip whose calibration asks for more than 255 is
    # heated less, never more, and reports that its heater is not stable.
    return int(_single(_single(3.4) * _single(resistance - 25))) & 0xFF


def _single(value: float) -> float:
    """Round to the nearest number of IEEE 754 single precision."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def wait_code(duration_ms: int) -> int:
    """Return gas_wait_x: 6 bits of milliseconds and 2 bits of a factor 1, 4, 16 or 64 (5.3.3)."""
    if duration_ms >= 0xFC0:
        return 0xFF
    factor = 0
    while duration_ms > 0x3F:
        duration_ms //= 4
        factor += 1
    return factor << 6 | duration_ms


def compensate(field: Field, c: Calibration, variant: int) -> Measurement:
    """Return the measurement in `field`; what was not measured is None.

    Humidity and pressure are compensated with the temperature, and the heater's set point is
    computed from it, so without a temperature nothing was measured.
    """
    missing = dict(_missing(field))
    if TEMPERATURE in missing:
        without = dict.fromkeys(QUANTITIES, "there is no temperature to compensate it with")
        return Measurement(None, None, None, None, _listed(without | missing))
    t_fine = fine_temperature(field.temperature_adc, c)
    raw_pct = unclamped_humidity_pct(field.humidity_adc, t_fine, c)
    if HUMIDITY not in missing and not -HUMIDITY_MARGIN_PCT <= raw_pct <= 100 + HUMIDITY_MARGIN_PCT:
        missing[HUMIDITY] = (
            f"code 0x{field.humidity_adc:04x} is {raw_pct:.1f} %RH, expected 0 to 100"
        )
    return Measurement(
        temperature_c=temperature_c(t_fine),
        humidity_pct=(None if HUMIDITY in missing else humidity_pct(field.humidity_adc, t_fine, c)),
        pressure_hpa=(None if PRESSURE in missing else pressure_hpa(field.pressure_adc, t_fine, c)),
        gas_resistance_ohm=None if GAS in missing else gas_resistance_ohm(field, c, variant),
        missing=_listed(missing),
    )


# The humidity formula may overshoot 0 to 100 %RH by this much before the value is a fault; up to
# there the datasheet's clamp holds. Datasheet table 3: accuracy 3 %RH, nonlinearity 1 %RH, and a
# drift of 0.5 %RH a year, here of twelve years.
HUMIDITY_MARGIN_PCT = 10.0


def _missing(field: Field) -> Iterator[Missing]:
    """Yield the quantities whose code in `field` is no value."""
    for quantity, code, skipped, largest in (
        (TEMPERATURE, field.temperature_adc, _SKIPPED_20_BIT, _MAX_20_BIT),
        (PRESSURE, field.pressure_adc, _SKIPPED_20_BIT, _MAX_20_BIT),
        (HUMIDITY, field.humidity_adc, _SKIPPED_16_BIT, _MAX_16_BIT),
    ):
        if code == skipped:
            yield Missing(quantity, f"the chip skipped it (code 0x{code:x})")
        elif code in (0, largest):
            yield Missing(quantity, f"off scale (code 0x{code:x})")
    if not (field.gas_valid and field.heater_stable):
        yield Missing(GAS, "not valid, or its heater is not stable")
    elif field.gas_adc in (0, _MAX_GAS):
        yield Missing(GAS, f"off scale (code {field.gas_adc} in gas range {field.gas_range})")


def _listed(missing: dict[str, str]) -> tuple[Missing, ...]:
    return tuple(Missing(name, missing[name]) for name in QUANTITIES if name in missing)


# Operating range (datasheet section 1): degC, hPa. Humidity has its own check in `compensate`.
_LIMITS = {
    "temperature_c": (-40.0, 85.0),
    "pressure_hpa": (300.0, 1100.0),
}


def with_offsets(measurement: Measurement, offset_c: float, offset_pct: float) -> Measurement:
    """Return a measurement with its owner's corrections added; what was not measured stays None.

    Relative humidity ends at 0 and 100 %RH, so a correction does not lead beyond.
    """
    temperature_c, humidity_pct = measurement.temperature_c, measurement.humidity_pct
    return replace(
        measurement,
        temperature_c=None if temperature_c is None else temperature_c + offset_c,
        humidity_pct=None
        if humidity_pct is None
        else min(max(humidity_pct + offset_pct, 0.0), 100.0),
    )


def out_of_range(measurement: Measurement) -> str:
    """Return the fault of a value outside the chip's operating range, or nothing.

    The limits belong to the range. Values are compared with one decimal, as they are shown: the
    converter's steps put a true -40 degC at -40.0003.
    """
    for name, (low, high) in _LIMITS.items():
        value = getattr(measurement, name)
        if value is not None and not low <= round(value, 1) <= high:
            return f"{name} {value:.1f} is outside the chip's range of {low:g} to {high:g}"
    return ""


class Bme680:
    """Driver of one chip. After any error the next `measure` begins with a reset.

    `transfer(write, read_len)` is one I2C transaction with the chip, a write and then a read with
    a repeated start; `sleep_s(seconds)` waits. `heater` holds from the next measurement on.
    """

    def __init__(
        self, transfer: Callable[[bytes, int], bytes], sleep_s: Callable[[float], None]
    ) -> None:
        self._transfer = transfer
        self._sleep_s = sleep_s
        self.heater = Heater()
        self._variant = VARIANT_GAS_LOW
        self._calibration: Calibration | None = None
        self._ambient_c = 0.0
        self._last: Field | None = None

    def measure(self) -> Measurement:
        """Return one new measurement, with a temperature at least; takes some 200 ms.

        Raises Bme680Error, and whatever `transfer` raises.
        """
        known, self._calibration = self._calibration, None
        if known is None:
            self._write(_RESET, _RESET_COMMAND)
            self._sleep_s(_RESET_S)
        self._variant = self._identify()  # every time: the chip may have been replaced
        calibration = known or self._start()
        heater = self.heater
        self._heat(heater, calibration)
        field = self._convert(_RUN_GAS[self._variant], heater.duration_ms / 1000)
        measurement = compensate(field, calibration, self._variant)
        self._ambient_c = _temperature_of(measurement)
        self._calibration, self._last = calibration, field
        return measurement

    def _start(self) -> Calibration:
        """Read the calibration, and the air's temperature for the heater's first set point."""
        calibration = decode_calibration(
            self._read_twice(_COEFFICIENTS_1, _COEFFICIENTS_1_LEN),
            self._read_twice(_COEFFICIENTS_2, _COEFFICIENTS_2_LEN),
            self._read_twice(_COEFFICIENTS_3, _COEFFICIENTS_3_LEN),
        )
        field = self._convert(_NO_GAS, 0.0)
        self._ambient_c = _temperature_of(compensate(field, calibration, self._variant))
        return calibration

    def _identify(self) -> int:
        chip_id = self._read(_CHIP_ID, 1)[0]
        if chip_id != CHIP_ID:
            raise WrongChipError(f"chip id is 0x{chip_id:02x}, a BME680's is 0x{CHIP_ID:02x}")
        variant = self._read(_VARIANT_ID, 1)[0]
        if variant not in _RUN_GAS:
            raise WrongChipError(f"variant id is 0x{variant:02x}, known are 0x00 and 0x01")
        return variant

    def _heat(self, heater: Heater, calibration: Calibration) -> None:
        # Whole degrees, cut off: Bosch's driver has the ambient temperature as a signed byte.
        ambient_c = int(max(-128.0, min(127.0, self._ambient_c)))
        self._write(_RES_HEAT_0, heater_code(heater.target_c, ambient_c, calibration))
        self._write(_GAS_WAIT_0, wait_code(heater.duration_ms))

    def _convert(self, run_gas: int, heating_s: float) -> Field:
        """Let the chip measure once; return the field when it is complete.

        Everything is configured each time, in case the chip lost its power in between. ctrl_hum
        is written before ctrl_meas, which makes it effective (5.3.2).
        """
        self._write(_CTRL_GAS_0, _HEATER_ON)
        self._write(_CTRL_GAS_1, run_gas)
        self._write(_CTRL_HUM, _OSRS_H)
        self._write(_CONFIG, _FILTER_OFF)
        # A chip that clears new_data on a read shows it once at most, and never to the second look.
        cleared = not (self._read_field().new_data and self._read_field().new_data)
        self._write(_CTRL_MEAS, _CTRL_MEAS_FORCED)
        return self._complete_field(_TPH_S + heating_s, begun=cleared)

    def _complete_field(self, nominal_s: float, *, begun: bool) -> Field:
        """Wait for a field that was begun after the trigger and is finished.

        new_data alone is not enough: a chip that keeps the flag shows the previous field with it.
        So the new measurement must first be seen in progress: measuring set, or new_data cleared.
        If this process was not scheduled during that time, a field that differs from the last one
        is accepted.
        """
        for number, pause_s in enumerate(_pauses(nominal_s)):
            self._sleep_s(pause_s)
            field = self._read_field()
            if field.measuring or not field.new_data:
                begun = True
            elif begun or (number >= _START_POLLS and field != self._last):
                return self._confirmed(field)
        failed = "did not finish" if begun else "did not begin"
        raise NoMeasurementError(f"the chip {failed} a measurement in {nominal_s + _GRACE_S:.2f} s")

    def _confirmed(self, field: Field) -> Field:
        """Return `field` if a second read agrees; the first read may have cleared new_data."""
        if replace(self._read_field(), new_data=field.new_data) != field:
            raise GarbledError("two reads of one measurement differ")
        return field

    def _read_field(self) -> Field:
        return decode_field(self._read(_FIELD_0, _FIELD_LEN), self._variant)

    def _read(self, register: int, length: int) -> bytes:
        answer = self._transfer(bytes([register]), length)
        if len(answer) != length:
            raise NoMeasurementError(f"register 0x{register:02x}: {len(answer)} of {length} bytes")
        return answer

    def _read_twice(self, register: int, length: int) -> bytes:
        answer = self._read(register, length)
        if self._read(register, length) != answer:
            raise GarbledError(f"two reads of the coefficients from 0x{register:02x} differ")
        return answer

    def _write(self, register: int, value: int) -> None:
        # One register per transaction: chips and datasheets agree on that, not on longer writes.
        self._transfer(bytes([register, value]), 0)


def _temperature_of(measurement: Measurement) -> float:
    """Return the temperature; raises NoMeasurementError where there is none."""
    if measurement.temperature_c is None:
        raise NoMeasurementError("; ".join(f"{name}: {why}" for name, why in measurement.missing))
    return measurement.temperature_c


def _pauses(nominal_s: float) -> list[float]:
    """Return the pauses between status reads: short, one long, then short until the time-out."""
    at_start = [_START_POLL_S] * _START_POLLS
    rest_s = nominal_s - sum(at_start)
    return [*at_start, rest_s, *[_POLL_S] * round(_GRACE_S / _POLL_S)]
