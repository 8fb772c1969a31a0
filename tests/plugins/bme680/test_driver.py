"""Driver against a chip at register level, on a clock that only the driver's sleeps move."""

import random
from collections.abc import Callable

import pytest

from node_agent.hal.simulated.bme680.chip import SimulatedBme680
from node_agent.hal.simulated.bme680.physics import Air
from plugins.bme680 import driver
from plugins.bme680.driver import (
    Bme680,
    GarbledError,
    Heater,
    NoMeasurementError,
    WrongChipError,
)
from tests.plugins.bme680.reference import expected, expected_heater, likely_image

STATUS, RES_HEAT, GAS_WAIT, CTRL_MEAS, FIELD = 0x1D, 0x5A, 0x64, 0x74, range(0x1D, 0x2E)
ROOM = Air(21.5, 45.0, 1005.0, 120_000.0)


class UnpluggedError(Exception):
    """An error of the bus."""


class Bench:
    """A driver wired to a simulated chip, with every transfer recorded."""

    def __init__(
        self,
        *,
        clears: bool = True,
        image: bytes | None = None,
        air: Air = ROOM,
        chip_id: int = 0x61,
    ) -> None:
        self.now_s = 0.0
        self.air = air
        self.writes: list[bytes] = []
        self.reads: list[tuple[int, int]] = []
        self.chip = SimulatedBme680(
            lambda _: self.air,
            lambda: self.now_s,
            image=_parts(image) if image else None,
            clears_new_data=clears,
            chip_id=lambda: chip_id,
        )
        self.before: Callable[[bytes, int], None] = lambda _write, _read_len: None
        self.after: Callable[[int, bytes], bytes] = lambda _register, answer: answer
        self.driver = Bme680(self._transfer, self._sleep)

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds

    def _transfer(self, write: bytes, read_len: int) -> bytes:
        self.before(write, read_len)
        self.writes.append(write)
        self.chip.write(write)
        if not read_len:
            return b""
        self.reads.append((write[0], read_len))
        return self.after(write[0], self.chip.read(read_len))

    def last_written(self, register: int) -> int:
        return next(w[1] for w in reversed(self.writes) if len(w) == 2 and w[0] == register)


def _parts(image: bytes) -> dict[int, bytes]:
    """Return calibration and results of an image, without the control registers."""
    return {0x00: image[:5], 0x1D: image[0x1D:0x2E], 0x8A: image[0x8A:0xA1], 0xE1: image[0xE1:0xEF]}


@pytest.mark.parametrize("clears", [True, False], ids=["clears new_data", "keeps new_data"])
def test_the_air_around_the_chip_is_what_is_measured(clears: bool) -> None:
    bench = Bench(clears=clears)
    for temperature_c in (21.5, -12.0, 60.0):
        bench.air = Air(temperature_c, 45.0, 1005.0, 120_000.0)
        found = bench.driver.measure()
        assert found.temperature_c == pytest.approx(temperature_c, abs=0.01)
        assert found.humidity_pct == pytest.approx(45.0, abs=0.05)
        assert found.pressure_hpa == pytest.approx(1005.0, abs=0.1)
        assert found.gas_resistance_ohm == pytest.approx(120_000.0, rel=0.01)


@pytest.mark.parametrize("clears", [True, False], ids=["clears new_data", "keeps new_data"])
def test_register_images_come_through_the_chip_unchanged(clears: bool) -> None:
    for seed in range(25):
        image = likely_image(seed)
        bench = Bench(clears=clears, image=image)
        found, exact = bench.driver.measure(), expected(image)
        assert found.temperature_c == pytest.approx(float(exact.temperature_c), abs=1e-6)
        assert found.pressure_hpa == pytest.approx(float(exact.pressure_hpa), abs=1e-6)
        if -10 <= exact.unclamped_humidity_pct <= 110:
            assert found.humidity_pct == pytest.approx(float(exact.humidity_pct), abs=1e-6)
        else:
            assert found.humidity_pct is None
        is_valid = image[0x2B] & 0x30 == 0x30
        assert (found.gas_resistance_ohm is not None) == is_valid
        ambient_c = int(exact.temperature_c)
        assert bench.last_written(RES_HEAT) == expected_heater(image, 320, ambient_c)
        assert bench.last_written(GAS_WAIT) == 0x65


def test_the_heater_follows_the_air_of_the_measurement_before() -> None:
    bench = Bench()
    bench.driver.measure()
    at_21 = bench.last_written(RES_HEAT)
    bench.air = Air(80.0, 45.0, 1005.0, 120_000.0)
    bench.driver.measure()
    bench.driver.measure()
    assert bench.last_written(RES_HEAT) > at_21


def test_another_heater_holds_from_the_next_measurement_on() -> None:
    image = likely_image(0)
    bench = Bench(image=image)
    bench.driver.measure()
    began_s = bench.now_s
    bench.driver.heater = Heater(target_c=220.0, duration_ms=60)
    bench.driver.measure()
    ambient_c = int(expected(image).temperature_c)
    assert bench.last_written(RES_HEAT) == expected_heater(image, 220, ambient_c)
    assert bench.last_written(GAS_WAIT) == 60
    assert bench.now_s - began_s < 0.12


def test_the_field_is_always_read_in_one_burst() -> None:
    bench = Bench()
    bench.driver.measure()
    touched = [(at, n) for at, n in bench.reads if set(range(at, at + n)) & set(FIELD)]
    assert touched
    assert set(touched) == {(0x1D, 17)}


def test_a_measurement_fits_into_a_cycle() -> None:
    bench = Bench()
    bench.driver.measure()
    started_s = bench.now_s
    assert started_s < 0.35
    bench.driver.measure()
    assert bench.now_s - started_s < 0.25


def test_an_older_field_is_not_taken_for_the_new_one() -> None:
    bench = Bench(clears=False)
    bench.driver.measure()
    bench.air = Air(30.0, 45.0, 1005.0, 120_000.0)
    assert bench.driver.measure().temperature_c == pytest.approx(30.0, abs=0.01)


def test_a_field_that_is_still_being_measured_is_not_read() -> None:
    """Both flags at once: the old field is there, and the new one is not."""
    bench = Bench(clears=False)
    bench.after = lambda register, answer: (
        bytes([answer[0] | 0xA0]) + answer[1:] if register == STATUS else answer
    )
    with pytest.raises(NoMeasurementError, match="did not finish"):
        bench.driver.measure()
    assert bench.now_s < 1.0


def test_a_chip_that_never_says_new_data_runs_into_the_time_out() -> None:
    bench = Bench()
    bench.after = lambda register, answer: (
        bytes([answer[0] & 0x7F]) + answer[1:] if register == STATUS else answer
    )
    with pytest.raises(NoMeasurementError, match="did not finish"):
        bench.driver.measure()


def test_a_chip_that_no_longer_starts_gives_no_reading_twice() -> None:
    bench = Bench(clears=False)
    bench.driver.measure()
    swallowed = bench.chip.write
    bench.chip.write = lambda data: (  # type: ignore[method-assign] # it hears reads only
        swallowed(data) if len(data) == 1 else None
    )
    for _ in range(3):
        with pytest.raises(NoMeasurementError, match="did not begin"):
            bench.driver.measure()


def test_a_process_that_slept_through_the_measurement_still_gets_it() -> None:
    bench = Bench(clears=False)
    bench.driver.measure()
    bench.air = Air(30.0, 45.0, 1005.0, 120_000.0)

    def oversleep(write: bytes, _read_len: int) -> None:
        if bench.writes[-1][0] == CTRL_MEAS and write[0] == STATUS:
            bench.now_s += 1.0

    bench.before = oversleep
    assert bench.driver.measure().temperature_c == pytest.approx(30.0, abs=0.01)


def test_another_chip_id_is_refused_and_named() -> None:
    with pytest.raises(WrongChipError, match="chip id is 0x60, a BME680's is 0x61"):
        Bench(chip_id=0x60).driver.measure()


def test_another_chip_put_in_while_it_runs_is_noticed() -> None:
    bench = Bench()
    bench.driver.measure()
    bench.after = lambda register, answer: b"\x60" if register == 0xD0 else answer
    with pytest.raises(WrongChipError):
        bench.driver.measure()


def test_an_unknown_variant_is_refused_and_named() -> None:
    bench = Bench()
    bench.after = lambda register, answer: b"\x07" if register == 0xF0 else answer
    with pytest.raises(WrongChipError, match="variant id is 0x07"):
        bench.driver.measure()


def test_a_short_answer_is_no_measurement() -> None:
    bench = Bench()
    bench.after = lambda register, answer: answer[:-1] if register == 0x8A else answer
    with pytest.raises(NoMeasurementError, match=r"register 0x8a: 22 of 23 bytes"):
        bench.driver.measure()


def test_a_chip_that_was_unplugged_is_reset_and_read_anew() -> None:
    bench = Bench()
    bench.driver.measure()

    def unplugged(_write: bytes, _read_len: int) -> None:
        raise UnpluggedError

    bench.before = unplugged
    with pytest.raises(UnpluggedError):
        bench.driver.measure()
    bench.before = lambda _write, _read_len: None
    bench.chip.power_on()
    bench.writes.clear()
    assert bench.driver.measure().temperature_c == pytest.approx(21.5, abs=0.01)
    assert bench.writes[0] == bytes([0xE0, 0xB6])


def test_a_chip_that_lost_its_power_in_between_is_configured_again() -> None:
    bench = Bench()
    bench.driver.measure()
    bench.chip.power_on()
    found = bench.driver.measure()
    assert found.humidity_pct == pytest.approx(45.0, abs=0.05)
    assert found.gas_resistance_ohm is not None


@pytest.mark.parametrize("stuck", [0x00, 0xFF])
def test_a_bus_that_is_stuck_at_one_level_gives_no_reading(stuck: int) -> None:
    bench = Bench()
    bench.driver.measure()
    bench.after = lambda _register, answer: bytes([stuck]) * len(answer)
    for _ in range(2):
        with pytest.raises(WrongChipError):
            bench.driver.measure()


def flip_a_bit(answer: bytes) -> bytes:
    return answer[:-1] + bytes([answer[-1] ^ 0x01])


def test_a_bit_error_in_the_coefficients_is_noticed() -> None:
    bench = Bench()
    answers = iter((flip_a_bit, bytes))
    bench.after = lambda register, answer: next(answers)(answer) if register == 0x8A else answer
    with pytest.raises(GarbledError, match="coefficients from 0x8a"):
        bench.driver.measure()


def test_bit_errors_in_the_field_give_no_reading() -> None:
    bench = Bench()
    bench.driver.measure()
    rng = random.Random(3)
    bench.after = lambda register, answer: (
        bytes(byte ^ (1 << rng.randrange(8)) for byte in answer) if register == STATUS else answer
    )
    for _ in range(20):
        with pytest.raises(driver.Bme680Error):
            bench.driver.measure()
    bench.after = lambda _register, answer: answer
    assert bench.driver.measure().temperature_c == pytest.approx(21.5, abs=0.01)


SKIPPED = {0x1F: "800000", 0x22: "800000", 0x25: "8000", 0x2A: "0000"}


def registers(**codes: str) -> Bench:
    """Return a bench whose chip measures ROOM but for the registers `x1f="800000"`."""
    bench = Bench()
    image = {int(name[1:], 16): bytes.fromhex(code) for name, code in codes.items()}
    bench.chip = SimulatedBme680(lambda _: bench.air, lambda: bench.now_s, image=image)
    return bench


def test_a_chip_that_skips_everything_is_a_fault_that_names_what_was_skipped() -> None:
    bench = registers(**{f"x{register:02x}": code for register, code in SKIPPED.items()})
    for _ in range(2):
        with pytest.raises(NoMeasurementError, match="temperature: the chip skipped it") as e:
            bench.driver.measure()
    assert "pressure: the chip skipped it (code 0x80000)" in str(e.value)
    assert "humidity: the chip skipped it (code 0x8000)" in str(e.value)


def test_a_chip_that_skips_pressure_alone_still_gives_the_rest() -> None:
    found = registers(x1f="800000").driver.measure()
    assert found.pressure_hpa is None
    assert found.humidity_pct == pytest.approx(45.0, abs=0.05)
    assert found.gas_resistance_ohm is not None
    assert [name for name, _ in found.missing] == ["pressure"]


@pytest.mark.parametrize("code", ["0030", "ffff"])
def test_gas_off_scale_is_absent_at_either_end(code: str) -> None:
    found = registers(x2a=code).driver.measure()
    assert found.gas_resistance_ohm is None
    assert "off scale" in dict(found.missing)["gas"]


def test_more_resistance_than_the_chip_can_measure_is_off_scale() -> None:
    found = Bench(air=Air(21.5, 45.0, 1005.0, 100e6)).driver.measure()
    assert dict(found.missing) == {"gas": "off scale (code 0 in gas range 0)"}


def test_a_humidity_code_far_outside_is_a_fault_and_not_100_percent() -> None:
    found = registers(x25="f000").driver.measure()
    assert found.humidity_pct is None
    assert "%RH, expected 0 to 100" in dict(found.missing)["humidity"]


@pytest.mark.parametrize(("temperature_c", "pressure_hpa"), [(-40.0, 300.0), (85.0, 1100.0)])
def test_air_at_the_limits_of_the_range_is_measured(
    temperature_c: float, pressure_hpa: float
) -> None:
    found = Bench(air=Air(temperature_c, 45.0, pressure_hpa, 120_000.0)).driver.measure()
    assert driver.out_of_range(found) == ""
    assert found.temperature_c == pytest.approx(temperature_c, abs=0.003)
