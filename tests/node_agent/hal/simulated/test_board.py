import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus.clock import now_ms
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from node_agent.hal.board import open_hardware
from node_agent.hal.capabilities import BLACK, Color, Hardware, Relay
from node_agent.hal.errors import (
    BadDeviceDataError,
    DeviceUnavailableError,
    HardwareNotInstalledError,
)
from node_agent.hal.simulated.board import SimulatedBoard
from node_agent.hal.simulated.recorder import Recorder
from node_agent.hal.simulated.scenario import Scenario
from plugins.bme680 import driver

BME680 = 0x77
DISPLAY = 0x3C
RED = Color(255, 0, 0)


def config(**tables: Any) -> Config:
    defaults: dict[str, Any] = {
        "broker": {"url": "mqtt://127.0.0.1"},
        "sensors": {"dht22_pins": [4], "bme680_addresses": ["0x77"]},
        "leds": {"count": 3},
        "buzzer": {},
        "fan": {},
        "hardware": {"driver": "simulated", "ssd1306_addresses": ["0x3c"]},
    }
    return msgspec.convert(defaults | tables, Config)


class World:
    """Makes boards whose scenario's time the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.boards: list[SimulatedBoard] = []

    def board(self, **scenario: Any) -> SimulatedBoard:
        made = SimulatedBoard(
            config(), msgspec.convert(scenario, Scenario), Recorder(""), lambda: self.now_s
        )
        self.boards.append(made)
        return made

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def driver(self, board: SimulatedBoard) -> driver.Bme680:
        return driver.Bme680(
            lambda data, read_len: board.i2c_transfer(BME680, data, read_len), self.sleep
        )


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    for board in made.boards:
        board.close()


def fault(kind: str, device: str, **more: Any) -> dict[str, Any]:
    return {"faults": [{"kind": kind, "device": device, **more}]}


def test_the_configuration_chooses_simulated_hardware() -> None:
    hardware: Hardware = open_hardware(config())
    try:
        climate = hardware.read_dht22(4)
        assert 20 < climate.temperature_c < 25
        assert hardware.i2c_transfer(BME680, b"\xd0", 1) == b"\x61"
        assert hardware.spi_transfer(b"ping") == b"ping"
        assert hardware.uart_write(b"x") == 1
        hardware.uart_set_baud(9600)
        assert hardware.uart_read(0) == b""
        hardware.show_pixels([RED])
        hardware.set_relay(Relay.FAN, on=True)
    finally:
        hardware.close()


def test_air_goes_through_registers_and_driver_to_a_measurement(world: World) -> None:
    air = {"temperature_c": -5.25, "humidity_pct": 81.5, "pressure_hpa": 987.6, "gas_kohm": 12.5}
    measured = world.driver(world.board(air=air)).measure()
    assert measured.temperature_c == pytest.approx(-5.25, abs=0.003)
    assert measured.humidity_pct == pytest.approx(81.5, abs=0.01)
    assert measured.pressure_hpa == pytest.approx(987.6, abs=0.03)
    assert measured.gas_resistance_ohm == pytest.approx(12_500, rel=0.003)


def test_nothing_answers_at_an_address_without_a_chip(world: World) -> None:
    with pytest.raises(DeviceUnavailableError, match=r"^no answer at i2c-1 0x40$"):
        world.board().i2c_transfer(0x40, b"", 1)


def test_what_a_node_does_not_have_is_named_with_its_table() -> None:
    bare = open_hardware(config(leds={}, buzzer=None, fan=None, sensors={}))
    try:
        with pytest.raises(HardwareNotInstalledError, match=r"no \[buzzer\] table"):
            bare.set_relay(Relay.BUZZER, on=True)
        with pytest.raises(HardwareNotInstalledError, match=r"no \[fan\] table"):
            bare.set_relay(Relay.FAN, on=True)
        with pytest.raises(HardwareNotInstalledError, match=r"leds\.count is 0"):
            bare.show_pixels([])
        with pytest.raises(HardwareNotInstalledError, match=r"no DHT22 at gpio4: sensors"):
            bare.read_dht22(4)
    finally:
        bare.close()


def test_closing_releases_relays_and_darkens_the_strip_and_twice_is_fine(world: World) -> None:
    board = world.board()
    board.set_relay(Relay.BUZZER, on=True)
    board.set_relay(Relay.FAN, on=True)
    board.show_pixels([RED] * 3)
    board.close()
    board.close()
    assert not any(relay.on for relay in board.relays.values())
    assert board.strip is not None
    assert board.strip.pixels == (BLACK,) * 3


@pytest.mark.parametrize(
    "use",
    [
        lambda board: board.read_dht22(4),
        lambda board: board.i2c_transfer(BME680, b"\xd0", 1),
        lambda board: board.spi_transfer(b"x"),
        lambda board: board.uart_read(1),
        lambda board: board.uart_set_baud(9600),
        lambda board: board.show_pixels([]),
        lambda board: board.set_relay(Relay.BUZZER, on=True),
    ],
)
def test_nothing_can_be_used_after_closing(
    world: World, use: Callable[[SimulatedBoard], object]
) -> None:
    board = world.board()
    board.close()
    with pytest.raises(DeviceUnavailableError, match="closed"):
        use(board)


def test_a_chip_that_does_not_answer_keeps_its_settings(world: World) -> None:
    board = world.board(**fault("no-answer", "bme680-0x77", from_s=10, until_s=20))
    board.i2c_transfer(BME680, b"\x72\x05", 0)
    world.now_s = 10
    with pytest.raises(DeviceUnavailableError, match="no answer at i2c-1 0x77"):
        board.i2c_transfer(BME680, b"\x72", 1)
    world.now_s = 20
    assert board.i2c_transfer(BME680, b"\x72", 1) == b"\x05"


@pytest.mark.parametrize("asked_meanwhile", [True, False])
def test_a_chip_that_was_unplugged_comes_back_without_its_settings(
    world: World,
    asked_meanwhile: bool,
) -> None:
    board = world.board(**fault("unplugged", "i2c", from_s=10, until_s=20))
    board.i2c_transfer(BME680, b"\x72\x05", 0)
    board.i2c_transfer(DISPLAY, b"\x00\x8d\x14\xaf", 0)
    assert board.displays[DISPLAY].lit
    if asked_meanwhile:
        world.now_s = 15
        with pytest.raises(DeviceUnavailableError):
            board.i2c_transfer(BME680, b"\x72", 1)
    world.now_s = 20
    assert board.i2c_transfer(BME680, b"\x72", 1) == b"\x00"
    assert board.i2c_transfer(DISPLAY, b"", 1) == b"\x40"
    board.i2c_transfer(BME680, b"\x72\x05", 0)
    assert board.i2c_transfer(BME680, b"\x72", 1) == b"\x05"


def test_a_wrong_id_is_another_chips_until_it_is_mended(world: World) -> None:
    board = world.board(**fault("wrong-id", "bme680", until_s=5))
    with pytest.raises(driver.WrongChipError, match="0x60"):
        world.driver(board).measure()
    world.now_s = 5
    assert world.driver(board).measure().temperature_c > 0


def test_stuck_values_repeat_themselves_in_measurements_that_are_new(world: World) -> None:
    board = world.board(**fault("stuck-data", "bme680", from_s=10, until_s=60))
    sensor = world.driver(board)
    world.now_s = 12
    stuck = sensor.measure()
    world.now_s = 40
    assert sensor.measure() == stuck
    world.now_s = 60
    assert sensor.measure() != stuck


def test_a_stuck_line_reads_the_same_byte_everywhere(world: World) -> None:
    board = world.board(**fault("stuck-data", "i2c", byte=0xFF))
    assert board.i2c_transfer(BME680, b"\xd0", 3) == b"\xff\xff\xff"


def test_bit_errors_turn_over_single_bits_at_their_rate(world: World) -> None:
    board = world.board(**fault("bit-errors", "bme680", rate=0.25))
    read = b"".join(board.i2c_transfer(BME680, b"\xd0", 1) for _ in range(400))
    wrong = [byte ^ 0x61 for byte in read if byte != 0x61]
    assert 60 < len(wrong) < 140
    assert all(byte.bit_count() == 1 for byte in wrong)


def test_bit_errors_of_a_dht22_show_in_its_checksum(world: World) -> None:
    board = world.board(**fault("bit-errors", "dht22", rate=1))
    with pytest.raises(BadDeviceDataError):
        board.read_dht22(4)


def test_a_dht22_that_is_unplugged_does_not_answer(world: World) -> None:
    board = world.board(**fault("unplugged", "dht22-gpio4"))
    with pytest.raises(DeviceUnavailableError, match="no answer at gpio4"):
        board.read_dht22(4)


def test_a_slow_bus_takes_its_time(world: World) -> None:
    board = world.board(**fault("slow-bus", "i2c", delay_s=0.05))
    began_s = time.monotonic()
    assert board.i2c_transfer(BME680, b"\xd0", 1) == b"\x61"
    assert time.monotonic() - began_s >= 0.05


def test_a_fault_of_a_device_that_the_node_lacks_is_passed_over(world: World) -> None:
    board = world.board(**fault("no-answer", "bme680-0x76"))
    assert board.i2c_transfer(BME680, b"\xd0", 1) == b"\x61"


def test_a_register_image_of_the_scenario_is_what_the_chip_answers(world: World) -> None:
    images = [{"device": "bme680-0x77", "registers": {"0xd0": "42", "0x8a": "01 02 03"}}]
    board = world.board(register_images=images)
    assert board.i2c_transfer(BME680, b"\xd0", 1) == b"\x42"
    assert board.i2c_transfer(BME680, b"\x8a", 3) == b"\x01\x02\x03"


def test_what_happens_is_recorded_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    table = {"driver": "simulated", "record_file": str(path)}
    began_ms = now_ms()
    board = open_hardware(config(hardware=table))
    board.set_relay(Relay.BUZZER, on=True)
    board.read_dht22(4)
    board.show_pixels([RED])
    written_before_close = path.read_text().splitlines()
    board.close()
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(written_before_close) == 3
    assert [event["event"] for event in events] == ["relay", "measurement", "leds", "relay", "leds"]
    assert events[0] | {"timestamp_ms": 0} == {
        "timestamp_ms": 0,
        "event": "relay",
        "relay": "buzzer",
        "on": True,
    }
    assert events[1]["device"] == "dht22-gpio4"
    assert events[2]["pixels"] == ["#ff0000", "#000000", "#000000"]
    assert began_ms <= events[0]["timestamp_ms"] <= now_ms()


def test_a_record_that_cannot_be_written_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    table = {"driver": "simulated", "record_file": str(tmp_path / "missing" / "record.jsonl")}
    with pytest.raises(MisconfiguredError, match=r"hardware\.record_file: found"):
        open_hardware(config(hardware=table))


def test_the_cpu_has_a_temperature_that_the_scenario_sets(world: World) -> None:
    usual = world.board().cpu_temperature_c()
    assert usual is not None
    assert 40 < usual < 55
    rising = world.board(cpu={"temperature_c": {"keyframes": [[0, 40.0], [10, 80.0]]}})
    world.now_s = 5.0
    assert rising.cpu_temperature_c() == 60.0
    assert world.board(cpu={"temperature_c": math.nan}).cpu_temperature_c() is None


def test_load_and_memory_are_this_machines_unless_the_scenario_sets_them(world: World) -> None:
    used_mb, total_mb = world.board().memory_mb() or (0, 0)
    assert 0 < used_mb < total_mb
    busy = world.board(
        cpu={"usage_pct": {"keyframes": [[0, 10.0], [10, 90.0]]}},
        memory={"used_mb": 900, "total_mb": 924},
    )
    assert busy.memory_mb() == (900, 924)
    meter = busy.cpu_meter()
    world.now_s = 5.0
    assert [meter.percent(), meter.percent()] == [50.0, 50.0]
    assert world.board(memory={"used_mb": 1}).memory_mb() == (1, total_mb)


def test_load_and_memory_may_be_unmeasured(world: World) -> None:
    board = world.board(cpu={"usage_pct": math.nan}, memory={"used_mb": math.nan})
    assert board.cpu_meter().percent() is None
    assert board.memory_mb() is None
