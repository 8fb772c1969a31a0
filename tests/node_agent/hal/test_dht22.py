import threading
from collections.abc import Callable

import pytest

from bus.errors import HarvesterError
from node_agent.hal.capabilities import Climate
from node_agent.hal.dht22 import Dht22Sensors
from node_agent.hal.errors import (
    BadDeviceDataError,
    DeviceUnavailableError,
    HardwareNotInstalledError,
)
from tests.support import WAIT_S

READ_S = 0.35
FINE = Climate(21.5, 45.0)
OTHER = Climate(22.0, 46.0)
SILENT = DeviceUnavailableError("no answer from the DHT22 at gpio4")
GARBLED = BadDeviceDataError("wrong checksum")


class Wire:
    """Answers in turn, each read taking its time; the last answer repeats."""

    def __init__(self, *answers: Climate | HarvesterError, read_s: float = READ_S) -> None:
        self.answers = list(answers)
        self.read_s = read_s
        self.now_s = 100.0
        self.reads: list[float] = []

    def read(self, pin: int) -> Climate:
        assert pin == 4
        self.reads.append(self.now_s)
        self.now_s += self.read_s
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, HarvesterError):
            raise answer
        return answer

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def sensors(self) -> Dht22Sensors:
        return Dht22Sensors([4], self.read, now=lambda: self.now_s, sleep=self.sleep)


def test_whoever_asks_within_the_rest_time_gets_the_last_answer() -> None:
    wire = Wire(FINE, OTHER)
    sensors = wire.sensors()
    assert [sensors.read(4) for _ in range(5)] == [FINE] * 5
    assert len(wire.reads) == 1
    wire.now_s = 102.0
    assert sensors.read(4) == OTHER


def test_whoever_asks_a_little_early_waits_rather_than_getting_an_old_answer() -> None:
    wire = Wire(FINE, OTHER)
    sensors = wire.sensors()
    sensors.read(4)
    wire.now_s = 101.95
    assert sensors.read(4) == OTHER
    assert wire.reads == [100.0, 102.0]


def test_a_read_that_failed_is_tried_once_more() -> None:
    for error in (SILENT, GARBLED):
        wire = Wire(error, FINE)
        assert wire.sensors().read(4) == FINE
        assert len(wire.reads) == 2


def test_lasting_errors_are_raised_well_before_a_polls_deadline() -> None:
    wire = Wire(SILENT)
    with pytest.raises(DeviceUnavailableError, match="no answer from the DHT22 at gpio4"):
        wire.sensors().read(4)
    assert wire.now_s - 100.0 <= 0.8


def test_a_slow_failure_leaves_no_time_for_a_second_try() -> None:
    wire = Wire(SILENT, FINE, read_s=0.5)
    with pytest.raises(DeviceUnavailableError):
        wire.sensors().read(4)
    assert len(wire.reads) == 1


def test_an_error_is_repeated_within_the_rest_time_and_gone_after_it() -> None:
    wire = Wire(SILENT, SILENT, FINE)
    sensors = wire.sensors()
    for _ in range(3):
        with pytest.raises(DeviceUnavailableError):
            sensors.read(4)
    assert len(wire.reads) == 2
    wire.now_s = 102.0
    assert sensors.read(4) == FINE


@pytest.mark.parametrize("climate", [Climate(-40, 0), Climate(80, 100)])
def test_the_ends_of_the_range_are_believed(climate: Climate) -> None:
    assert Wire(climate).sensors().read(4) == climate


@pytest.mark.parametrize(
    ("climate", "complaint"),
    [
        (Climate(-40.1, 50), "answered -40.1 degC, expected -40 to 80"),
        (Climate(80.1, 50), "answered 80.1 degC"),
        (Climate(20, 100.1), "answered 100.1 %RH, expected 0 to 100"),
        (Climate(float("nan"), 50), "answered nan degC"),
    ],
)
def test_what_the_sensor_cannot_measure_is_not_believed(climate: Climate, complaint: str) -> None:
    with pytest.raises(BadDeviceDataError, match=complaint):
        Wire(climate).sensors().read(4)


def test_a_missing_library_is_not_tried_again() -> None:
    wire = Wire(HardwareNotInstalledError("the library adafruit_dht is missing"))
    with pytest.raises(HardwareNotInstalledError, match="adafruit_dht"):
        wire.sensors().read(4)
    assert len(wire.reads) == 1


def test_a_pin_without_a_sensor_is_named() -> None:
    with pytest.raises(HardwareNotInstalledError, match=r"no DHT22 at gpio5: .* is \[4\]"):
        Wire(FINE).sensors().read(5)


def test_nothing_is_read_after_closing() -> None:
    sensors = Wire(FINE).sensors()
    sensors.close()
    sensors.close()
    with pytest.raises(DeviceUnavailableError, match="closed"):
        sensors.read(4)


def in_threads(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)


def test_many_threads_at_once_make_one_read() -> None:
    wire, seen = Wire(FINE, OTHER, read_s=0.0), []
    sensors = wire.sensors()
    in_threads(8, lambda: seen.append(sensors.read(4)))
    assert seen == [FINE] * 8
    assert len(wire.reads) == 1


def test_forty_zero_bits_are_an_error_for_every_caller() -> None:
    with pytest.raises(BadDeviceDataError, match="gpio4: all bits are 0"):
        Wire(Climate(0.0, 0.0)).sensors().read(4)


def test_a_sign_bit_without_degrees_is_zero_degrees() -> None:
    assert str(Wire(Climate(-0.0, 45.0)).sensors().read(4).temperature_c) == "0.0"


def test_of_several_sensors_each_has_one_attempt_so_that_a_poll_reads_them_all_in_time() -> None:
    wire = Wire(SILENT, FINE)
    sensors = Dht22Sensors([4, 22], wire.read, now=lambda: wire.now_s, sleep=wire.sleep)
    with pytest.raises(DeviceUnavailableError):
        sensors.read(4)
    assert len(wire.reads) == 1
