"""The driver's floating-point arithmetic against the datasheet's formulas in exact numbers."""

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
        assert found.humidity_pct == pytest.approx(float(exact.humidity_pct), abs=1e-9)
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


def test_numbers_outside_the_chips_range_are_doubted() -> None:
    good = driver.Measurement(21.0, 40.0, 1013.0, None)
    assert driver.doubt(good) == ""
    hot = driver.Measurement(85.1, 40.0, 1013.0, None)
    assert driver.doubt(hot) == "temperature_c 85.1 is outside the chip's range of -40 to 85"
    assert "pressure_hpa" in driver.doubt(driver.Measurement(21.0, 40.0, 1100.5, None))
    assert "pressure_hpa" in driver.doubt(driver.Measurement(21.0, 40.0, float("nan"), None))
