"""Floating-point arithmetic of the driver against the datasheet's formulas in exact numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.bme680 import driver
from plugins.bme680.driver import VARIANT_GAS_HIGH, VARIANT_GAS_LOW, BadCalibrationError
from tests.plugins.bme680.reference import expected, expected_heater, likely_image

IMAGES = [likely_image(seed) for seed in range(300)]


def calibration(image: bytes) -> driver.Calibration:
    return driver.decode_calibration(image[0x8A:0xA1], image[0xE1:0xEF], image[0x00:0x05])


def field(image: bytes, variant: int = VARIANT_GAS_LOW) -> driver.Field:
    return driver.decode_field(image[0x1D:0x2E], variant)


def patched(image: bytes, **registers: int) -> bytes:
    changed = bytearray(image)
    for name, value in registers.items():
        changed[int(name[1:], 16)] = value
    return bytes(changed)


def measured(image: bytes) -> driver.Measurement:
    valid = patched(image, x2b=image[0x2B] | 0x30)
    return driver.compensate(field(valid), calibration(valid), VARIANT_GAS_LOW)


def test_three_hundred_register_images_mean_what_the_datasheet_says() -> None:
    for image in IMAGES:
        found, exact = measured(image), expected(image)
        assert found.temperature_c == pytest.approx(float(exact.temperature_c), abs=1e-9)
        assert found.pressure_hpa == pytest.approx(float(exact.pressure_hpa), abs=1e-8)
        if -10 <= exact.unclamped_humidity_pct <= 110:
            assert found.humidity_pct == pytest.approx(float(exact.humidity_pct), abs=1e-9)
        else:
            assert found.humidity_pct is None
        assert found.gas_resistance_ohm == pytest.approx(float(exact.gas_ohm), rel=1e-12)


def test_the_images_reach_below_zero_and_both_ends_of_humidity() -> None:
    values = [expected(image) for image in IMAGES]
    assert min(v.temperature_c for v in values) < -20
    assert {0, 100} <= {v.humidity_pct for v in values}
    assert sum(0 < v.humidity_pct < 100 for v in values) > 100


@pytest.mark.parametrize("gas_range", range(16))
@pytest.mark.parametrize("error", [0x00, 0x70, 0x80, 0xF0])
def test_every_gas_range_is_right_with_every_sign_of_its_switching_error(
    gas_range: int, error: int
) -> None:
    for low_bits in (0x00, 0x40, 0x80, 0xC0):
        image = patched(IMAGES[0], x2a=0x55, x2b=low_bits | 0x30 | gas_range, x04=error)
        found = measured(image).gas_resistance_ohm
        assert found == pytest.approx(float(expected(image).gas_ohm), rel=1e-12)


def test_each_of_the_low_adc_bits_changes_the_gas_resistance() -> None:
    resistances = {
        measured(patched(IMAGES[1], x2b=bits | 0x30)).gas_resistance_ohm
        for bits in (0x00, 0x40, 0x80, 0xC0)
    }
    assert len(resistances) == 4


@pytest.mark.parametrize("status", [0x00, 0x10, 0x20])
def test_gas_that_is_not_valid_or_not_hot_enough_is_absent(status: int) -> None:
    image = patched(IMAGES[2], x2b=IMAGES[2][0x2B] & 0xCF | status)
    found = driver.compensate(field(image), calibration(image), VARIANT_GAS_LOW)
    assert found.gas_resistance_ohm is None
    assert found.temperature_c == measured(IMAGES[2]).temperature_c


def test_a_bme688_has_its_gas_in_other_registers_and_by_another_formula() -> None:
    image = patched(IMAGES[3], x2c=0x80, x2d=0x40 | 0x30 | 5)
    found = driver.compensate(field(image, VARIANT_GAS_HIGH), calibration(image), VARIANT_GAS_HIGH)
    # BST-BME688-DS000: 1e6 * (262144 >> range) / (4096 + 3 * (adc - 512)), adc = 0x201
    assert found.gas_resistance_ohm == pytest.approx(1e6 * 8192 / 4099)


@pytest.mark.parametrize("ambient_c", [-40, -1, 0, 25, 85])
def test_the_heater_set_point_is_exactly_the_datasheets(ambient_c: int) -> None:
    for image in IMAGES:
        found = driver.heater_code(320.0, ambient_c, calibration(image))
        assert found == expected_heater(image, 320, ambient_c)


def test_the_heater_is_never_asked_for_more_than_400_degrees() -> None:
    cal = calibration(IMAGES[4])
    assert driver.heater_code(500.0, 25, cal) == driver.heater_code(400.0, 25, cal)


@pytest.mark.parametrize(
    ("duration_ms", "code"),
    [(1, 0x01), (63, 0x3F), (64, 0x50), (150, 0x65), (1000, 0xBE), (4031, 0xFE), (5000, 0xFF)],
)
def test_the_wait_code_is_six_bits_and_a_factor(duration_ms: int, code: int) -> None:
    assert driver.wait_code(duration_ms) == code


@given(st.integers(1, 4031))
def test_the_wait_code_never_waits_longer_nor_much_shorter(duration_ms: int) -> None:
    code = driver.wait_code(duration_ms)
    waits_ms = (code & 0x3F) * 4 ** (code >> 6)
    assert waits_ms <= duration_ms < waits_ms * 1.07 + 1


def test_calibration_that_divides_by_zero_is_an_error_and_no_pressure() -> None:
    image = patched(IMAGES[5], x8e=0, x8f=0)
    with pytest.raises(BadCalibrationError, match="par_p1 0"):
        measured(image)


def humidity_code(image: bytes, humidity_pct: float) -> int:
    """Return the code whose unclamped humidity is the nearest to `humidity_pct`."""

    def off_by(code: int) -> float:
        value = expected(patched(image, x25=code >> 8, x26=code & 0xFF)).unclamped_humidity_pct
        return abs(float(value) - humidity_pct)

    return min(range(1, 0xFFFF, 64), key=off_by)


@pytest.mark.parametrize("gas_range", [0, 7, 15])
@pytest.mark.parametrize("adc", [0, 1023])
@pytest.mark.parametrize("variant", [VARIANT_GAS_LOW, VARIANT_GAS_HIGH])
def test_a_gas_code_at_either_end_of_the_scale_is_no_resistance(
    gas_range: int, adc: int, variant: int
) -> None:
    msb, lsb = adc >> 2, (adc & 3) << 6 | 0x30 | gas_range
    image = patched(IMAGES[0], x2a=msb, x2b=lsb, x2c=msb, x2d=lsb)
    found = driver.compensate(field(image, variant), calibration(image), variant)
    assert found.gas_resistance_ohm is None
    reason = f"off scale (code {adc} in gas range {gas_range})"
    assert dict(found.missing)["gas"] == reason
    assert found.temperature_c is not None


def test_codes_next_to_the_ends_of_the_gas_scale_are_resistances() -> None:
    for adc in (1, 1022):
        image = patched(IMAGES[0], x2a=adc >> 2, x2b=(adc & 3) << 6 | 0x30)
        assert measured(image).gas_resistance_ohm == pytest.approx(float(expected(image).gas_ohm))


ROOM = patched(IMAGES[0], x22=0x76, x23=0x00, x24=0x00, x1f=0x50, x2a=0x55, x2b=0x75)


@pytest.mark.parametrize(
    ("registers", "missing"),
    [
        ({"x1f": 0x80, "x20": 0, "x21": 0}, {"pressure"}),
        ({"x25": 0x80, "x26": 0}, {"humidity"}),
        ({"x1f": 0x80, "x20": 0, "x21": 0, "x25": 0x80, "x26": 0}, {"pressure", "humidity"}),
        ({"x22": 0x80, "x23": 0, "x24": 0}, {"temperature", "pressure", "humidity", "gas"}),
        ({"x22": 0, "x23": 0, "x24": 0}, {"temperature", "pressure", "humidity", "gas"}),
        ({"x1f": 0xFF, "x20": 0xFF, "x21": 0xF0}, {"pressure"}),
        ({"x25": 0xFF, "x26": 0xFF}, {"humidity"}),
    ],
)
def test_a_skipped_or_saturated_code_is_no_value_nor_is_what_depends_on_it(
    registers: dict[str, int], missing: set[str]
) -> None:
    image = patched(ROOM, x25=humidity_code(ROOM, 40) >> 8, x26=0)
    assert measured(image).missing == ()
    found = measured(patched(image, **registers))
    values = {
        "temperature": found.temperature_c,
        "pressure": found.pressure_hpa,
        "humidity": found.humidity_pct,
        "gas": found.gas_resistance_ohm,
    }
    assert {name for name, value in values.items() if value is None} == missing
    assert {name for name, _ in found.missing} == missing


@pytest.mark.parametrize(
    ("humidity_pct", "found_pct"), [(-30, None), (-5, 0.0), (105, 100.0), (150, None)]
)
def test_a_small_overshoot_of_humidity_is_clamped_and_a_large_one_is_a_fault(
    humidity_pct: float, found_pct: float | None
) -> None:
    code = humidity_code(ROOM, humidity_pct)
    found = measured(patched(ROOM, x25=code >> 8, x26=code & 0xFF))
    assert found.humidity_pct == found_pct
    assert ("humidity" in dict(found.missing)) == (found_pct is None)


def test_numbers_outside_the_chips_range_are_a_fault() -> None:
    good = driver.Measurement(21.0, 40.0, 1013.0, None)
    assert driver.out_of_range(good) == ""
    hot = driver.Measurement(85.1, 40.0, 1013.0, None)
    assert driver.out_of_range(hot) == "temperature_c 85.1 is outside the chip's range of -40 to 85"
    assert "pressure_hpa" in driver.out_of_range(driver.Measurement(21.0, 40.0, 1100.5, None))
    nan = driver.Measurement(21.0, 40.0, float("nan"), None)
    assert "pressure_hpa" in driver.out_of_range(nan)


@pytest.mark.parametrize(
    ("temperature_c", "pressure_hpa"),
    [(-40.0, 300.0), (85.0, 1100.0), (-40.0003, 299.996), (85.0002, 1100.0001220703125)],
)
def test_the_limits_belong_to_the_range_as_near_as_the_converter_gets(
    temperature_c: float, pressure_hpa: float
) -> None:
    found = driver.Measurement(temperature_c, 40.0, pressure_hpa, None)
    assert driver.out_of_range(found) == ""
