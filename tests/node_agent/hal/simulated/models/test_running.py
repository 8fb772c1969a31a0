"""Chips of `simulated.py` on a simulated board: keys, faults, mistakes, several in one place."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus.config.settings import Config
from bus.errors import MisconfiguredError
from node_agent.hal.board import open_hardware
from node_agent.hal.errors import BadDeviceDataError, DeviceUnavailableError
from node_agent.hal.simulated.board import SimulatedBoard
from node_agent.hal.simulated.models import fitting, time_bound
from node_agent.hal.simulated.recorder import Recorder
from node_agent.hal.simulated.scenario import Scenario


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound a chip's time so that an endless one ends the sooner."""
    monkeypatch.setattr(time_bound, "LONGEST_S", 0.5)


LIGHT = """
class Light:
    bus = "i2c"
    addresses = (0x23, 0x5C)
    illuminance_lx = 300.0

    def __init__(self):
        self.writes = 0

    def transfer(self, write, read_length, now_s):
        self.writes += len(write)
        return bytes((int(self.illuminance_lx) & 0xFF, self.writes, self.address))[:read_length]
"""
CHIP = """
class Chip:
    bus = "i2c"
    address = 0x23

    def transfer(self, write, read_length, now_s):
        {body}
"""
ADC = """
class Adc:
    bus = "spi"
    volts_v = 2.0

    def transfer(self, data, now_s):
        return bytes((round(self.volts_v * 10),)) * len(data)
"""
RADIO = """
class Radio:
    bus = "uart"
    baud = 19200

    def __init__(self):
        self.heard = b""

    def read(self, now_s):
        sent, self.heard = self.heard, b""
        return sent + b"%d." % now_s

    def write(self, data, now_s):
        self.heard += data
"""
Board = Callable[..., SimulatedBoard]


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def node(plugins: Path, names: list[str], **hardware: Any) -> Config:
    tables = {
        "broker": {"url": "mqtt://127.0.0.1"},
        "plugins": {"directory": str(plugins), "enabled": names},
        "hardware": {"driver": "simulated", **hardware},
        "sensors": {"bme680_addresses": ["0x77"]},
    }
    return msgspec.convert(tables, Config)


def written(plugins: Path, **sources: str) -> list[str]:
    for name, source in sources.items():
        folder = plugins / name
        folder.mkdir()
        (folder / "simulated.py").write_text(source)
        (folder / "plugin.toml").write_text('world = "sensor-plugin"\n')
    return list(sources)


@pytest.fixture
def board(tmp_path: Path, clock: Clock) -> Iterator[Board]:
    made: list[SimulatedBoard] = []

    def of(sources: dict[str, str], **scenario: Any) -> SimulatedBoard:
        config = node(tmp_path, written(tmp_path, **sources))
        played = msgspec.convert(scenario, Scenario)
        found = fitting.find(config)
        made.append(SimulatedBoard(config, played, Recorder(""), clock, found))
        return made[-1]

    yield of
    for one in made:
        one.close()


def lux(board: SimulatedBoard, address: int = 0x23) -> int:
    return board.i2c_transfer(address, b"", 1)[0]


def test_a_key_has_its_default_and_what_a_scenario_says_over_time(
    board: Board, clock: Clock
) -> None:
    plain = board({"light": LIGHT})
    assert lux(plain) == 300 & 0xFF
    curve = {"keyframes": [[0, 10.0], [10, 30.0]]}
    changing = board({"lamp": LIGHT}, chips={"lamp": {"illuminance_lx": curve}})
    seen = [lux(changing) for clock.now_s in (0.0, 5.0, 20.0)]
    assert seen == [10, 20, 30]


def test_chips_at_several_addresses_are_apart(board: Board) -> None:
    chips = {"light": {"illuminance_lx": 40, "0x5c": {"illuminance_lx": 5}}}
    both = board({"light": LIGHT}, chips=chips)
    both.i2c_transfer(0x23, b"\x10\x20", 0)
    assert both.i2c_transfer(0x23, b"", 3) == bytes((40, 2, 0x23))
    assert both.i2c_transfer(0x5C, b"", 3) == bytes((5, 0, 0x5C))


def test_a_scenarios_faults_reach_them_by_plugin_address_and_bus(
    board: Board, clock: Clock
) -> None:
    faults = [
        {"kind": "no-answer", "device": "light-0x5c", "until_s": 5},
        {"kind": "stuck-data", "device": "i2c", "byte": 7, "from_s": 10},
        {"kind": "unplugged", "device": "light", "from_s": 6, "until_s": 7},
    ]
    faulty = board({"light": LIGHT}, faults=faults)
    faulty.i2c_transfer(0x23, b"\x10", 0)
    with pytest.raises(DeviceUnavailableError, match="no answer at i2c-1 0x5c"):
        lux(faulty, 0x5C)
    clock.now_s = 5.5
    assert faulty.i2c_transfer(0x23, b"", 2)[1] == 1
    clock.now_s = 8.0
    assert faulty.i2c_transfer(0x23, b"", 2)[1] == 0  # made anew with its power
    clock.now_s = 10.0
    assert lux(faulty) == 7


def test_a_chip_that_raises_os_error_does_not_acknowledge_and_nothing_is_logged(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    silent = board({"light": CHIP.format(body='raise OSError("still measuring")')})
    with pytest.raises(DeviceUnavailableError, match=r"^no answer at i2c-1 0x23: still"):
        lux(silent)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return [][read_length]", r":7: IndexError: list index out of range"),
        ("return [1]", r": Chip\.transfer: found \[1\], expected bytes"),
        ("while True: pass", r":7: TooLongError: ran for over 0\.5 s without an end"),
        ("raise SystemExit", r":7: SystemExit"),
        ("return b'12'", r": Chip\.transfer: found 2 bytes, expected 1"),
    ],
)
def test_a_mistake_of_a_chip_is_no_answer_and_one_line_of_the_log(
    board: Board, tmp_path: Path, caplog: pytest.LogCaptureFixture, body: str, reason: str
) -> None:
    wrong = board({"light": CHIP.format(body=body)})
    file = tmp_path / "light" / "simulated.py"
    for _ in range(3):
        with pytest.raises(
            DeviceUnavailableError, match=f"^no answer at i2c-1 0x23: {file}{reason}"
        ):
            lux(wrong)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(str(file))
    assert line.endswith("the simulated chip at i2c-1 0x23 does not answer")
    # The rest of the board runs.
    assert wrong.i2c_transfer(0x77, b"\xd0", 1) == b"\x61"


def test_a_file_that_does_not_load_costs_its_own_chip_only(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    rest = board({"light": LIGHT, "broken": "import nothing_of_the_kind\n"})
    assert lux(rest) == 300 & 0xFF
    (line,) = [record.getMessage() for record in caplog.records]
    assert "broken/simulated.py:1: ModuleNotFoundError" in line
    assert caplog.records[0].levelno == logging.ERROR
    # What goes out must not come back as if a chip had answered.
    with pytest.raises(DeviceUnavailableError, match="no answer at spi"):
        rest.spi_transfer(b"\x01")


def test_of_two_chips_in_one_place_the_first_stays(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    first = board({"light": LIGHT, "other": CHIP.format(body="return bytes(read_length)")})
    assert lux(first) == 300 & 0xFF
    assert "other/simulated.py: Chip: 0x23 is taken" in caplog.text


def test_a_plugins_chip_takes_the_place_of_a_built_in_one(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    own = board({"light": CHIP.replace("0x23", "0x77").format(body="return b'x' * read_length")})
    assert own.i2c_transfer(0x77, b"\xd0", 1) == b"x"
    assert "light-0x77 takes the place of bme680-0x77" in caplog.text


def test_a_chip_on_spi_takes_the_loopbacks_place(board: Board) -> None:
    assert board({}).spi_transfer(b"\x01\x02") == b"\x01\x02"
    chips = {"adc": {"volts_v": 3.1}}
    assert board({"adc": ADC}, chips=chips).spi_transfer(b"\x01\x02") == bytes((31, 31))


def test_a_device_on_the_serial_port_is_read_in_parts_and_written_to(
    board: Board, clock: Clock
) -> None:
    port = board({"radio": RADIO})
    port.uart_set_baud(19200)
    assert port.uart_write(b"hello") == 5
    clock.now_s = 3.0
    assert port.uart_read(4) == b"hell"
    assert port.uart_read(100) == b"o3.3."


def test_at_another_rate_a_serial_device_is_garbled(board: Board) -> None:
    port = board({"radio": RADIO})
    assert port.uart_read(100) not in (b"", b"0.")
    port.uart_set_baud(19200)
    assert port.uart_read(100) == b"0."


def test_unread_bytes_of_a_serial_device_are_lost_from_the_front(board: Board) -> None:
    port = board({"radio": RADIO})
    port.uart_set_baud(19200)
    port.uart_write(b"a" * 3000)
    port.uart_read(0)
    port.uart_write(b"b" * 3000)
    assert port.uart_read(10_000) == (b"a" * 3000 + b"0." + b"b" * 3000 + b"0.")[-4096:]


def test_a_serial_port_without_a_device_is_silent_and_has_the_usual_rates(board: Board) -> None:
    port = board({})
    assert port.uart_write(b"hello") == 5
    assert port.uart_read(100) == b""
    with pytest.raises(BadDeviceDataError, match="found 1234 baud, expected one of"):
        port.uart_set_baud(1234)


@pytest.mark.parametrize(
    ("chips", "mistake"),
    [
        (
            {"light": {"iluminance_lx": 5}},
            "chips.light.iluminance_lx: found an unknown key, expected one of illuminance_lx, ",
        ),
        (
            {"light": {"illuminance_lx": "dark"}},
            "chips.light.illuminance_lx: found 'dark', expected a number or a table",
        ),
        (
            {"light": {"0x5c": {"volts": 5}}},
            "chips.light.0x5c.volts: found an unknown key, expected one of illuminance_lx",
        ),
        (
            {"light": {"0x40": {"illuminance_lx": 5}}},
            "chips.light.0x40: found an unknown key, expected one of illuminance_lx",
        ),
        (
            {"bare": {"x": 1}},
            "chips.bare: found a table, but that plugin's folder has no simulated.py",
        ),
        (
            {"lihgt": {"x": 1}},
            "chips: found 'lihgt', expected a plugin's name, one of ",
        ),
    ],
)
def test_a_key_that_no_chip_has_is_refused_with_those_that_there_are(
    tmp_path: Path, chips: object, mistake: str
) -> None:
    names = written(tmp_path, light=LIGHT, bare=LIGHT)
    (tmp_path / "bare" / "simulated.py").unlink()
    with pytest.raises(MisconfiguredError) as caught:
        open_hardware(node(tmp_path, names, scenario_values={"chips": chips}))
    assert str(caught.value).startswith(f"scenario: {mistake}")


def test_keys_of_a_plugin_that_the_node_does_not_run_are_passed_over(tmp_path: Path) -> None:
    written(tmp_path, light=LIGHT)
    values = {"chips": {"light": {"anything": 5}}}
    with (
        closing(open_hardware(node(tmp_path, [], scenario_values=values))) as opened,
        pytest.raises(DeviceUnavailableError, match="no answer at i2c-1 0x23"),
    ):
        opened.i2c_transfer(0x23, b"", 1)


def test_real_hardware_never_runs_the_file(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    names = written(tmp_path, light=f"open({str(ran)!r}, 'w').close()\n{LIGHT}")
    open_hardware(node(tmp_path, names, driver="raspberry-pi")).close()
    assert not ran.exists()
    open_hardware(node(tmp_path, names)).close()
    assert ran.exists()
