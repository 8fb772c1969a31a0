"""SHT31 driver against the datasheet, and against the simulated chip."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.sht31.driver import Measurement, Sht31, Sht31Error, crc8, decode, out_of_range
from examples.sht31.simulated import Sht31 as SimulatedSht31
from node_agent.hal.capabilities import Climate

ROOM = Climate(23.4, 56.7)


class Bench:
    """A driver wired to a simulated chip, on a clock of its own."""

    def __init__(self, climate: Climate = ROOM) -> None:
        self.now_s = 0.0
        self.chip = SimulatedSht31()
        self.chip.temperature_c, self.chip.humidity_pct = climate
        self.sent: list[tuple[bytes, int]] = []
        self.driver = Sht31(self._transfer, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def _transfer(self, write: bytes, read_len: int) -> bytes:
        self.sent.append((write, read_len))
        if write:
            self.write(write)
        return self.read(read_len) if read_len else b""

    def write(self, command: bytes) -> None:
        self.chip.transfer(command, 0, self.now_s)

    def read(self, read_len: int = 6) -> bytes:
        """Return the answer, nothing where the chip does not acknowledge."""
        try:
            return self.chip.transfer(b"", read_len, self.now_s)
        except OSError:
            return b""


def word(value: int) -> bytes:
    data = value.to_bytes(2, "big")
    return data + bytes((crc8(data),))


def test_the_checksum_is_the_datasheets_example() -> None:
    assert crc8(b"\xbe\xef") == 0x92


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_an_answer_is_read_by_the_datasheets_formulae(temperature: int, humidity: int) -> None:
    measured = decode(word(temperature) + word(humidity))
    assert measured.temperature_c == pytest.approx(float(Fraction(175 * temperature, 65535) - 45))
    assert measured.humidity_pct == pytest.approx(float(Fraction(100 * humidity, 65535)))


@pytest.mark.parametrize("bit", range(48))
def test_one_bit_that_is_wrong_makes_no_number(bit: int) -> None:
    answer = bytearray(word(0x6666) + word(0x9128))
    answer[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Sht31Error, match="temperature" if bit < 24 else "humidity"):
        decode(bytes(answer))


@pytest.mark.parametrize("stuck", [0x00, 0xFF])
def test_a_line_that_is_stuck_makes_no_number(stuck: int) -> None:
    with pytest.raises(Sht31Error, match="checksum"):
        decode(bytes((stuck,)) * 6)


def test_an_answer_that_is_too_short_makes_no_number() -> None:
    with pytest.raises(Sht31Error, match="found 3 bytes, expected 6"):
        decode(word(1))


@pytest.mark.parametrize("climate", [ROOM, Climate(-45.0, 0.0), Climate(130.0, 100.0)])
def test_the_simulated_chip_is_read_to_its_resolution(climate: Climate) -> None:
    bench = Bench(climate)
    measured = bench.driver.measure()
    assert measured.temperature_c == pytest.approx(climate.temperature_c, abs=175 / 65535)
    assert measured.humidity_pct == pytest.approx(climate.humidity_pct, abs=100 / 65535)
    single_shot = [(b"\x24\x00", 0), (b"", 6)]
    assert bench.sent == [(b"\x30\x93", 0), *single_shot]
    bench.driver.measure()
    assert bench.sent[3:] == single_shot


@pytest.mark.parametrize(
    ("repeatability", "command"),
    [("high", b"\x24\x00"), ("medium", b"\x24\x0b"), ("low", b"\x24\x16")],
)
def test_each_repeatability_is_waited_for(repeatability: str, command: bytes) -> None:
    bench = Bench()
    measured = bench.driver.measure(repeatability)
    assert measured.temperature_c == pytest.approx(23.4, abs=0.003)
    assert bench.sent[1] == (command, 0)


def test_the_chip_does_not_acknowledge_before_it_has_measured_and_after_it_was_read() -> None:
    bench = Bench()
    assert bench.read() == b""
    bench.write(b"\x24\x00")
    bench.now_s = 0.015
    assert bench.read() == b""
    bench.now_s = 0.016
    assert len(bench.read()) == 6
    assert bench.read() == b""


def test_a_chip_that_lost_its_power_has_nothing_to_read() -> None:
    bench = Bench()
    bench.write(b"\x24\x00")
    bench.now_s = 1
    bench.write(b"\x30\xa2")
    assert bench.read() == b""


PERIODIC = [b"\x20\x32", b"\x21\x26", b"\x22\x2b", b"\x23\x34", b"\x27\x37", b"\x2b\x32"]


@pytest.mark.parametrize("mode", PERIODIC)
def test_a_chip_that_was_left_in_periodic_mode_is_measured_at_once(mode: bytes) -> None:
    bench = Bench()
    bench.write(mode)
    bench.now_s += 10
    assert bench.driver.measure().temperature_c == pytest.approx(23.4, abs=0.003)


def test_a_chip_that_another_program_puts_into_periodic_mode_is_recovered() -> None:
    bench = Bench()
    bench.driver.measure()
    bench.write(b"\x21\x30")
    with pytest.raises(Sht31Error, match="found 0 bytes"):
        bench.driver.measure()
    assert bench.driver.measure().temperature_c == pytest.approx(23.4, abs=0.003)


def test_in_periodic_mode_the_simulated_chip_gives_each_measurement_once_and_to_a_fetch_alone() -> (
    None
):
    bench = Bench()
    bench.write(b"\x21\x30")
    bench.now_s = 0.5
    bench.write(b"\xe0\x00")
    assert bench.read() == b""
    bench.now_s = 1.1
    bench.write(b"\x24\x00")
    assert bench.read() == b""
    bench.write(b"\xe0\x00")
    assert decode(bench.read()).humidity_pct == pytest.approx(56.7, abs=0.002)
    bench.write(b"\xe0\x00")
    assert bench.read() == b""


def test_the_chip_takes_no_command_until_a_break_is_over() -> None:
    bench = Bench()
    bench.write(b"\x30\x93")
    bench.write(b"\x24\x00")
    bench.now_s = 1
    assert bench.read() == b""


@pytest.mark.parametrize("code", [0x0000, 0xFFFF])
def test_a_code_at_either_end_of_the_scale_is_outside_the_specified_range(code: int) -> None:
    assert "temperature_c" in out_of_range(decode(word(code) + word(0x8000)))


@pytest.mark.parametrize("climate", [(-40.0, 0.0), (125.0, 100.0), (-40.001, 100.0)])
def test_the_limits_belong_to_the_specified_range(climate: tuple[float, float]) -> None:
    assert out_of_range(Measurement(*climate)) == ""
