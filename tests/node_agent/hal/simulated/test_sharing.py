"""I2C bus with many users: concurrent transfers, and what would spoil a measurement."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest

from bus.config.settings import Config
from examples.sht31.driver import Sht31
from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.simulated.board import SimulatedBoard
from node_agent.hal.simulated.i2c_bus import SimulatedI2cBus, Slot, one_after_the_other
from node_agent.hal.simulated.models.fitting import PluginChips
from node_agent.hal.simulated.models.load import load
from node_agent.hal.simulated.recorder import Recorder
from node_agent.hal.simulated.scenario import Scenario
from node_agent.hal.simulated.wire import LONGEST_TRANSFER_S, Wire
from plugins.bme680.driver import Bme680
from plugins.oled.driver import FRAME_BYTES, Ssd1306
from tests.support import PROJECT

STILL = {
    "chips": {"sht31": {"temperature_c": 21.5, "humidity_pct": 40.0}},
    "air": {
        "temperature_c": 24.5,
        "humidity_pct": 50.0,
        "pressure_hpa": 1000.0,
        "gas_kohm": 80.0,
    },
}
CONFIG = {
    "broker": {"url": "mqtt://127.0.0.1"},
    "sensors": {"bme680_addresses": ["0x77"]},
    "hardware": {"driver": "simulated", "ssd1306_addresses": ["0x3c"]},
}


def board_of(scenario: object, config: object = CONFIG) -> SimulatedBoard:
    """Return a board with an SHT31 at 0x44 as well."""
    began_s = time.monotonic()
    sht31 = load(PROJECT / "examples" / "sht31" / "simulated.py")
    assert not sht31.problems
    return SimulatedBoard(
        msgspec.convert(config, Config),
        msgspec.convert(scenario, Scenario),
        Recorder(""),
        lambda: time.monotonic() - began_s,
        [PluginChips("sht31", sht31.chips)],
    )


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    made = board_of(STILL)
    yield made
    made.close()


def to(board: SimulatedBoard, address: int) -> Callable[[bytes, int], bytes]:
    return lambda data, read_len: board.i2c_transfer(address, data, read_len)


def side_by_side(jobs: Sequence[Callable[[], None]]) -> None:
    """Run jobs at the same time; raise what the first of them raised."""
    failures: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as e:  # noqa: BLE001 - raised again below, in the test's own thread
            failures.append(e)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class Register:
    """A chip with a register pointer, which every write sets and every read uses."""

    def __init__(self) -> None:
        self._pointer = 0

    def write(self, data: bytes) -> None:
        self._pointer = data[0]
        time.sleep(0.0005)  # another thread's turn, were it let in

    def read(self, read_len: int) -> bytes:
        return bytes((self._pointer,)) * read_len


def test_a_write_and_its_read_are_never_parted_by_another_threads() -> None:
    wire = Wire("bme680-0x77", "0x77", Scenario(), time.monotonic)
    slot = Slot(wire, one_after_the_other(Register()))
    bus = SimulatedI2cBus("i2c-1", {0x77: slot})

    def user(register: int) -> None:
        for _ in range(50):
            assert bus.transfer(0x77, bytes((register,)), 3) == bytes((register,)) * 3

    side_by_side([lambda n=n: user(n) for n in range(4)])  # type: ignore[misc]


def test_drivers_of_different_chips_do_not_disturb_each_other(board: SimulatedBoard) -> None:
    frames = [bytes((n,)) * FRAME_BYTES for n in (0x0F, 0xF0, 0x55)]

    def measure_air() -> None:
        chip = Bme680(to(board, 0x77), time.sleep)
        for _ in range(4):
            measured = chip.measure()
            assert measured.temperature_c == pytest.approx(24.5, abs=0.01)
            assert measured.humidity_pct == pytest.approx(50.0, abs=0.05)
            assert measured.pressure_hpa == pytest.approx(1000.0, abs=0.1)

    def measure_room() -> None:
        chip = Sht31(to(board, 0x44), time.sleep)
        for _ in range(40):
            assert chip.measure().temperature_c == pytest.approx(21.5, abs=0.003)

    def draw() -> None:
        display = Ssd1306(to(board, 0x3C))
        for n in range(60):
            display.show(frames[n % len(frames)])

    side_by_side([measure_air, measure_room, draw])
    shown = board.displays[0x3C].frame()
    assert [row[0] for row in shown[:8]] == [bool(frames[2][0] >> bit & 1) for bit in range(8)]
    assert len(set(shown[::2])) == 1


def test_two_users_of_one_chip_spoil_each_others_measurement(board: SimulatedBoard) -> None:
    """Why the configuration refuses to grant one address to two plugins."""

    def other_comes_between(seconds: float) -> None:
        time.sleep(seconds)
        board.i2c_transfer(0x44, b"", 6)

    with pytest.raises(DeviceUnavailableError, match="no answer at i2c-1 0x44"):
        Sht31(to(board, 0x44), other_comes_between).measure()


def test_a_stuck_bus_is_given_up_and_does_not_hold_up_its_other_users_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept_s: list[float] = []
    monkeypatch.setattr("node_agent.hal.simulated.wire.time.sleep", slept_s.append)
    stuck = {"kind": "slow-bus", "device": "bme680", "delay_s": 9}
    board = board_of({"faults": [stuck]})

    def use_stuck() -> None:
        with pytest.raises(DeviceUnavailableError, match="no end of the transfer at i2c-1 0x77"):
            board.i2c_transfer(0x77, b"\xd0", 1)

    def use_other() -> None:
        board.i2c_transfer(0x3C, b"\x00\xe3", 0)

    side_by_side([use_stuck, use_stuck, use_other])
    assert slept_s == [LONGEST_TRANSFER_S] * 2
