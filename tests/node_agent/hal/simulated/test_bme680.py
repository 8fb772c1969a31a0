from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from node_agent.hal.simulated.bme680 import physics
from node_agent.hal.simulated.bme680.chip import SimulatedBme680
from node_agent.hal.simulated.bme680.physics import Air, Calibration
from node_agent.hal.simulated.bme680.registers import calibration_of, calibration_registers
from plugins.bme680 import driver

AIR = Air(temperature_c=23.456, humidity_pct=47.89, pressure_hpa=1013.25, gas_ohm=65_432)
# One conversion each of temperature, pressure and humidity, then 150 ms of heating.
MEASURE = bytes.fromhex("72 01 5a 74 64 65 71 10 74 25")
MEASURE_S = 0.170
FIELD_LEN = 15
NEW_DATA, GAS_MEASURING, MEASURING = 0x80, 0x40, 0x20
GAS_VALID, HEATER_STABLE = 0x20, 0x10


class Bench:
    """A chip and the clock that it lives by."""

    def __init__(self, air: Air = AIR, **properties: Any) -> None:
        self.now_s = 0.0
        self.air = air
        self.chip = SimulatedBme680(lambda _: self.air, lambda: self.now_s, **properties)

    def transfer(self, data: bytes, read_len: int) -> bytes:
        self.now_s += 0.0002
        if data:
            self.chip.write(data)
        return self.chip.read(read_len) if read_len else b""

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def read(self, register: int, read_len: int = 1) -> bytes:
        return self.transfer(bytes((register,)), read_len)

    def status(self) -> int:
        return self.read(0x1D)[0]


def signed_bits(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


calibrations = st.builds(
    Calibration,
    **{name: st.integers(0, 0xFFFF) for name in ("t1", "p1")},
    **{name: signed_bits(16) for name in ("t2", "p2", "p4", "p5", "p8", "p9", "gh2")},
    **{name: signed_bits(8) for name in ("t3", "p3", "p6", "p7", "h3", "h4", "h5", "h7", "gh1")},
    **{name: st.integers(0, 0xFFF) for name in ("h1", "h2")},
    **{name: st.integers(0, 0xFF) for name in ("p10", "h6")},
    gh3=signed_bits(8),
    res_heat_val=signed_bits(8),
    res_heat_range=st.integers(0, 3),
    range_sw_err=signed_bits(4),
)


@given(calibrations)
def test_calibration_survives_its_registers(calibration: Calibration) -> None:
    registers = bytearray(256)
    for address, data in calibration_registers(calibration).items():
        registers[address : address + len(data)] = data
    assert calibration_of(registers) == calibration


@given(calibrations)
def test_the_driver_reads_the_same_calibration_out_of_the_registers(
    calibration: Calibration,
) -> None:
    blocks = calibration_registers(calibration)
    read = driver.decode_calibration(blocks[0x8A], blocks[0xE1], blocks[0x00])
    for name in Calibration.__struct_fields__:
        assert getattr(read, name) == getattr(calibration, name)


@given(st.floats(-40, 85), st.floats(0.5, 99.5), st.floats(300, 1100))
def test_converters_read_what_the_compensation_turns_back(
    t_c: float, h_pct: float, p_hpa: float
) -> None:
    cal = Calibration()
    adc = physics.temperature_adc(cal, t_c)
    assert physics.temperature_c(cal, adc) == pytest.approx(t_c, abs=0.0003)
    adc = physics.humidity_adc(cal, h_pct, t_c)
    assert physics.humidity_pct(cal, adc, t_c) == pytest.approx(h_pct, abs=0.006)
    adc = physics.pressure_adc(cal, p_hpa * 100, t_c)
    assert physics.pressure_pa(cal, adc, t_c) == pytest.approx(p_hpa * 100, abs=0.2)


@given(st.floats(300, 12_000_000))
def test_the_gas_range_is_chosen_so_that_every_resistance_fits(ohm: float) -> None:
    for compensation in (physics.gas_ohm, physics.gas_high_ohm):
        adc, gas_range = physics.gas_adc(Calibration(), ohm, compensation)
        if 0 < adc < physics.ADC_10_BIT_MAX:
            assert compensation(Calibration(), adc, gas_range) == pytest.approx(ohm, rel=0.002)
    adc, _ = physics.gas_adc(Calibration(), ohm)
    assert 0 < adc < physics.ADC_10_BIT_MAX


airs = st.builds(
    Air,
    temperature_c=st.floats(-40, 85),
    humidity_pct=st.floats(0.5, 99.5),
    pressure_hpa=st.floats(300, 1100),
    gas_ohm=st.floats(2_000, 5_000_000),
)


@settings(max_examples=40, deadline=None)
@given(airs, st.integers(0, 3))
def test_the_plugins_driver_and_the_chip_agree_on_any_air(air: Air, kind: int) -> None:
    """`kind` runs through all four of: clears new data or not, low or high gas variant."""
    bench = Bench(air, clears_new_data=bool(kind & 1), image={0xF0: bytes((kind >> 1,))})
    measured = driver.Bme680(bench.transfer, bench.sleep).measure()
    assert measured.temperature_c == pytest.approx(air.temperature_c, abs=0.003)
    assert measured.humidity_pct == pytest.approx(air.humidity_pct, abs=0.01)
    assert measured.pressure_hpa == pytest.approx(air.pressure_hpa, abs=0.03)
    assert measured.gas_resistance_ohm == pytest.approx(air.gas_ohm, rel=0.003)


def test_the_chip_tells_its_id_and_variant() -> None:
    bench = Bench()
    assert bench.read(0xD0) == b"\x61"
    assert bench.read(0xF0) == b"\x00"


def test_writes_take_address_and_value_in_turn_and_reads_count_up() -> None:
    bench = Bench()
    bench.transfer(bytes.fromhex("5a 74 64 65 71 10"), 0)
    assert bench.read(0x5A) == b"\x74"
    assert bench.read(0x64) == b"\x65"
    assert bench.read(0x70, 3) == b"\x00\x10\x00"


def test_registers_that_are_read_only_stay_as_they_are() -> None:
    bench = Bench()
    bench.transfer(bytes.fromhex("d0 12 8a 34 1d ff"), 0)
    assert bench.read(0xD0) == b"\x61"
    assert bench.status() == 0


def test_nothing_is_new_before_the_measurement_has_had_its_time() -> None:
    bench = Bench()
    bench.transfer(MEASURE, 0)
    assert bench.status() == MEASURING
    assert bench.read(0x74)[0] & 3 == 1
    bench.sleep(0.1)
    assert bench.status() == MEASURING | GAS_MEASURING
    assert bench.read(0x22, 3) == b"\x80\x00\x00"
    bench.sleep(MEASURE_S - 0.1)
    assert bench.status() == NEW_DATA
    assert bench.read(0x74)[0] & 3 == 0


def test_more_samples_and_a_longer_wait_take_longer() -> None:
    def duration_ms(commands: str) -> float:
        bench = Bench()
        bench.transfer(bytes.fromhex(commands), 0)
        while bench.status() & MEASURING:
            bench.sleep(0.0008)
        return bench.now_s * 1000

    assert duration_ms("72 01 74 25") == pytest.approx(8.8, abs=1.1)
    assert duration_ms("72 05 74 b5") == pytest.approx(97.2, abs=1.1)
    assert duration_ms("5a 74 64 65 71 10 72 01 74 25") == pytest.approx(159.2, abs=1.1)


@pytest.mark.parametrize(("clears", "second"), [(1, 0), (0, NEW_DATA)])
def test_reading_new_data_clears_the_flag_only_where_the_chip_is_one_that_does(
    clears: int, second: int
) -> None:
    bench = Bench(clears_new_data=bool(clears))
    bench.transfer(MEASURE, 0)
    bench.sleep(MEASURE_S)
    assert bench.status() == NEW_DATA
    assert bench.status() == second


def test_the_flag_of_the_measurement_before_is_no_sign_that_the_next_is_over() -> None:
    bench = Bench(clears_new_data=False)
    bench.transfer(MEASURE, 0)
    bench.sleep(MEASURE_S)
    bench.transfer(MEASURE, 0)
    assert bench.status() == NEW_DATA | MEASURING


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("", GAS_VALID | HEATER_STABLE),
        ("70 08", GAS_VALID),  # heater switched off
        ("5a 00", GAS_VALID),  # no set point
        ("5a ff", GAS_VALID),  # far too hot
        ("64 05", GAS_VALID),  # 5 ms are too short to get hot
        ("71 01", 0),  # run_gas is not set
    ],
)
def test_gas_is_valid_and_stable_only_with_the_heater_set_up(setting: str, expected: int) -> None:
    bench = Bench()
    bench.transfer(MEASURE[:-2] + bytes.fromhex(setting) + MEASURE[-2:], 0)
    bench.sleep(MEASURE_S)
    assert bench.read(0x2B)[0] & (GAS_VALID | HEATER_STABLE) == expected


def test_a_heater_profile_is_chosen_by_its_number() -> None:
    bench = Bench()
    bench.transfer(bytes.fromhex("72 01 5d 74 67 65 71 13 74 25"), 0)
    bench.sleep(MEASURE_S)
    field = bench.read(0x1D, FIELD_LEN)
    assert field[0] == NEW_DATA | 3
    assert field[14] & (GAS_VALID | HEATER_STABLE) == GAS_VALID | HEATER_STABLE


def test_what_is_not_sampled_reads_as_skipped() -> None:
    bench = Bench()
    bench.transfer(bytes.fromhex("72 00 74 01"), 0)
    bench.sleep(MEASURE_S)
    assert bench.read(0x1F, 8).hex(" ") == "80 00 00 80 00 00 80 00"


def test_one_sample_resolves_16_bits_and_the_filter_all_20() -> None:
    plain, filtered = Bench(), Bench()
    plain.transfer(MEASURE, 0)
    filtered.transfer(bytes.fromhex("75 04") + MEASURE, 0)
    for bench in (plain, filtered):
        bench.sleep(MEASURE_S)
    assert plain.read(0x24) == b"\x00"
    assert filtered.read(0x24) != b"\x00"


def test_the_filter_follows_a_jump_slowly() -> None:
    bench = Bench()
    for air in (AIR, Air(temperature_c=33.456, humidity_pct=40, pressure_hpa=1000, gas_ohm=5e4)):
        bench.air = air
        bench.transfer(bytes.fromhex("75 04") + MEASURE, 0)
        bench.sleep(MEASURE_S)
        bench.status()
    adc = int.from_bytes(bench.read(0x22, 3), "big") >> 4
    assert physics.temperature_c(Calibration(), adc) == pytest.approx(28.456, abs=0.01)


@pytest.mark.parametrize(
    "restart", [lambda b: b.transfer(b"\xe0\xb6", 0), lambda b: b.chip.power_on()]
)
def test_a_reset_forgets_settings_and_measurements(restart: Callable[[Bench], object]) -> None:
    bench = Bench()
    bench.transfer(MEASURE, 0)
    bench.sleep(MEASURE_S)
    restart(bench)
    assert bench.read(0x70, 6) == bytes(6)
    assert bench.read(0x1D, 4).hex(" ") == "00 00 80 00"
    assert bench.read(0xD0) == b"\x61"


def test_a_register_image_stands_in_place_of_what_is_measured() -> None:
    field = bytes.fromhex("80 00 5b a1 20 79 c4 d0 4e 91 00 00 00 8f 35")
    bench = Bench(image={0x1D: field, 0xD0: b"\x42"})
    assert bench.status() == 0
    assert bench.read(0xD0) == b"\x42"
    bench.transfer(MEASURE, 0)
    assert bench.status() & NEW_DATA == 0
    bench.sleep(MEASURE_S)
    assert bench.read(0x1D, FIELD_LEN) == field


def test_an_image_of_calibration_alone_changes_what_the_converters_read() -> None:
    calibration = Calibration(t1=25_900, t2=26_600, h6=90, range_sw_err=5)
    bench = Bench(image=calibration_registers(calibration))
    measured = driver.Bme680(bench.transfer, bench.sleep).measure()
    assert measured.temperature_c == pytest.approx(AIR.temperature_c, abs=0.003)
    assert measured.gas_resistance_ohm == pytest.approx(AIR.gas_ohm, rel=0.003)


def test_a_chip_with_blank_calibration_answers_all_the_same() -> None:
    bench = Bench(image={start: bytes(size) for start, size in ((0x8A, 23), (0xE1, 14), (0, 5))})
    bench.transfer(MEASURE, 0)
    bench.sleep(MEASURE_S)
    assert bench.status() == NEW_DATA


@pytest.mark.parametrize(("ctrl_gas_1", "has_gas"), [("10", True), ("00", False)])
def test_what_was_measured_is_told_with_its_true_values(ctrl_gas_1: str, has_gas: bool) -> None:
    measurements: list[Mapping[str, float]] = []
    bench = Bench(on_measured=measurements.append)
    bench.transfer(bytes.fromhex(f"72 01 5a 74 64 65 71 {ctrl_gas_1} 74 25"), 0)
    bench.sleep(MEASURE_S)
    bench.status()
    (measured,) = measurements
    assert ("gas_ohm" in measured) is has_gas
    expected = {**structs.asdict(AIR), "age_s": MEASURE_S}
    assert {"gas_ohm": AIR.gas_ohm, **measured} == expected
