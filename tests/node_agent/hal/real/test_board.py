"""Our calls to the Raspberry Pi's libraries, against fakes with the libraries' own signatures."""

import atexit
import errno
import importlib
import subprocess
import sys
import types
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bus.config.settings import Config
from node_agent.hal.board import open_hardware
from node_agent.hal.capabilities import Climate, Color, Hardware, Relay
from node_agent.hal.errors import (
    BadDeviceDataError,
    DeviceUnavailableError,
    HardwareNotInstalledError,
)
from node_agent.hal.real import dht22_wire
from node_agent.hal.real.relay import GpioRelay
from node_agent.hal.real.serial_port import SerialPort
from node_agent.hal.real.spi_bus import SpiBus
from node_agent.hal.real.strip import Ws281xStrip
from tests.support import WAIT_S

CONFIG = {
    "broker": {"url": "mqtt://127.0.0.1"},
    "sensors": {"dht22_pins": [4]},
    "leds": {"count": 2, "pin": 18, "brightness": 64},
    "buzzer": {"pin": 17, "active_low": True},
    "fan": {"pin": 27, "active_low": False},
}
LIBRARIES = (
    *("smbus2", "gpiod", "RPi.GPIO", "rpi_ws281x", "adafruit_dht", "board", "spidev", "serial"),
)


class FakeGpio(types.ModuleType):
    """RPi.GPIO 0.7.1."""

    BCM, OUT, LOW, HIGH = 11, 0, 0, 1

    def __init__(self) -> None:
        super().__init__("RPi.GPIO")
        self.log: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    def setwarnings(self, state: bool) -> None:
        self.log.append(("setwarnings", state))

    def setmode(self, mode: int) -> None:
        self.log.append(("setmode", mode))

    def setup(self, channel: int, direction: int, *, initial: int) -> None:
        if self.error:
            raise self.error
        self.log.append(("setup", channel, direction, initial))

    def output(self, channel: int, value: int) -> None:
        if self.error:
            raise self.error
        self.log.append(("output", channel, value))


class FakeStrip:
    """rpi_ws281x 5.0's PixelStrip."""

    made: list["FakeStrip"]
    begin_error = ""

    def __init__(
        self, num: int, pin: int, *, brightness: int, channel: int, strip_type: int
    ) -> None:
        self.settings = (num, pin, brightness, channel)
        self.strip_type = strip_type
        self.buffer = [(0, 0, 0)] * num
        self.shown: list[list[tuple[int, int, int]]] = []
        self.show_error = ""
        self.cleaned_up = False
        atexit.register(self._cleanup)
        self.made.append(self)

    def _cleanup(self) -> None:
        self.cleaned_up = True

    def begin(self) -> None:
        if self.begin_error:
            raise RuntimeError(self.begin_error)

    def setPixelColorRGB(self, n: int, red: int, green: int, blue: int) -> None:  # noqa: N802
        self.buffer[n] = (red, green, blue)

    def show(self) -> None:
        if self.show_error:
            raise RuntimeError(self.show_error)
        self.shown.append(list(self.buffer))


class FakeDht22:
    """adafruit_dht 4.0's DHT22."""

    outcomes: list[tuple[float | None, float | None] | Exception]
    made: list[tuple[str, bool]]
    exits = 0

    def __init__(self, pin: str, *, use_pulseio: bool) -> None:
        self.made.append((pin, use_pulseio))
        self.temperature: float | None = None
        self.humidity: float | None = None

    def measure(self) -> None:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        self.temperature, self.humidity = outcome

    def exit(self) -> None:
        type(self).exits += 1


class FakeSpiDev:
    """spidev 3.8's SpiDev."""

    max_speed_hz = mode = 0
    error: OSError | None = None

    def open(self, bus: int, device: int) -> None:
        if self.error:
            raise self.error
        self.opened = (bus, device)

    def xfer2(self, values: list[int]) -> list[int]:
        if self.error:
            raise self.error
        return [value ^ 0xFF for value in values]

    def close(self) -> None:
        self.opened = (-1, -1)


class FakeSerial:
    """pyserial 3.5's Serial."""

    made: list["FakeSerial"]
    error: OSError | None = None

    def __init__(
        self,
        port: str,
        *,
        baudrate: int,
        timeout: float | None,
        write_timeout: float | None,
        exclusive: bool | None,
    ) -> None:
        if self.error:
            raise self.error
        assert timeout == 0
        assert write_timeout
        assert exclusive
        self.port, self._baudrate, self.is_open = port, baudrate, True
        self.arrived, self.sent = b"", b""
        self.made.append(self)

    @property
    def baudrate(self) -> int:
        return self._baudrate

    @baudrate.setter
    def baudrate(self, rate: int) -> None:
        if rate <= 0:
            raise ValueError(f"Not a valid baudrate: {rate!r}")
        self._baudrate = rate

    def read(self, size: int = 1) -> bytes:
        if self.error:
            raise self.error
        taken, self.arrived = self.arrived[:size], self.arrived[size:]
        return taken

    def write(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def close(self) -> None:
        self.is_open = False


def install(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    module = types.ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def gpio(monkeypatch: pytest.MonkeyPatch) -> FakeGpio:
    made = FakeGpio()
    monkeypatch.setitem(sys.modules, "RPi.GPIO", made)
    return made


@pytest.fixture
def strips(monkeypatch: pytest.MonkeyPatch) -> list[FakeStrip]:
    monkeypatch.setattr(FakeStrip, "made", [], raising=False)
    install(monkeypatch, "rpi_ws281x", PixelStrip=FakeStrip)
    return FakeStrip.made


@pytest.fixture
def dht22(monkeypatch: pytest.MonkeyPatch) -> type[FakeDht22]:
    monkeypatch.setattr(FakeDht22, "made", [], raising=False)
    monkeypatch.setattr(FakeDht22, "exits", 0)
    install(monkeypatch, "adafruit_dht", DHT22=FakeDht22)
    install(monkeypatch, "board", D4="the pin D4")
    return FakeDht22


@pytest.fixture
def spidev(monkeypatch: pytest.MonkeyPatch) -> FakeSpiDev:
    made = FakeSpiDev()
    install(monkeypatch, "spidev", SpiDev=lambda: made)
    return made


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> list[FakeSerial]:
    monkeypatch.setattr(FakeSerial, "made", [], raising=False)
    monkeypatch.setattr(FakeSerial, "error", None)
    install(monkeypatch, "serial", Serial=FakeSerial)
    return FakeSerial.made


# Relays


@pytest.mark.parametrize(("active_low", "released", "closed"), [(True, 1, 0), (False, 0, 1)])
def test_a_relay_is_released_before_its_pin_becomes_an_output_and_when_closed(
    gpio: FakeGpio, active_low: bool, released: int, closed: int
) -> None:
    relay = GpioRelay("buzzer", 17, active_low=active_low)
    assert gpio.log == []
    relay.set(on=True)
    relay.set(on=False)
    relay.set(on=True)
    relay.close()
    relay.close()
    assert gpio.log == [
        ("setwarnings", False),
        ("setmode", gpio.BCM),
        ("setup", 17, gpio.OUT, released),
        ("output", 17, closed),
        ("output", 17, released),
        ("output", 17, closed),
        ("output", 17, released),
    ]
    with pytest.raises(DeviceUnavailableError, match="the buzzer relay is closed"):
        relay.set(on=True)


def test_a_relay_that_was_never_used_touches_nothing(gpio: FakeGpio) -> None:
    GpioRelay("fan", 27, active_low=True).close()
    assert gpio.log == []


def test_pins_that_may_not_be_touched_are_named_with_a_remedy(gpio: FakeGpio) -> None:
    gpio.error = RuntimeError("No access to /dev/mem.")
    with pytest.raises(HardwareNotInstalledError, match=r"gpio17: No access .* group gpio"):
        GpioRelay("buzzer", 17, active_low=True).set(on=True)


def test_an_output_that_fails_is_an_error_of_the_device(gpio: FakeGpio) -> None:
    relay = GpioRelay("buzzer", 17, active_low=True)
    relay.set(on=False)
    gpio.error = RuntimeError("The GPIO channel has not been set up as an OUTPUT")
    with pytest.raises(DeviceUnavailableError, match="the relay at gpio17"):
        relay.set(on=True)


# Strip


def test_a_strip_is_written_once_and_dark_when_closed(strips: list[FakeStrip]) -> None:
    strip = Ws281xStrip(count=3, pin=18, brightness=64)
    strip.show([Color(1, 2, 3), Color(4, 5, 6)])
    strip.close()
    strip.close()
    assert strips[0].settings == (3, 18, 64, 0)
    assert strips[0].shown == [[(1, 2, 3), (4, 5, 6), (0, 0, 0)], [(0, 0, 0)] * 3]
    with pytest.raises(DeviceUnavailableError, match="strip at gpio18 is closed"):
        strip.show([])


@pytest.mark.parametrize(("pin", "channel"), [(12, 0), (13, 1), (18, 0), (19, 1), (21, 0), (10, 0)])
def test_a_pin_has_its_own_pwm_channel(strips: list[FakeStrip], pin: int, channel: int) -> None:
    Ws281xStrip(count=1, pin=pin, brightness=255).show([])
    assert strips[0].settings == (1, pin, 255, channel)


@pytest.mark.parametrize(
    ("table", "strip_type"),
    [
        ({}, 0x081000),
        ({"order": "GRB"}, 0x081000),
        ({"order": "RGB"}, 0x100800),
        ({"order": "BGR"}, 0x000810),
        ({"order": "RBG"}, 0x100008),
        ({"order": "GBR"}, 0x080010),
        ({"order": "BRG"}, 0x001008),
    ],
)
def test_the_configuration_says_in_which_order_a_strip_takes_colours(
    strips: list[FakeStrip], table: dict[str, str], strip_type: int
) -> None:
    leds = {"count": 2, "pin": 10, "brightness": 9, **table}
    board = open_hardware(msgspec.convert({"leds": leds}, Config))
    board.show_pixels([Color(1, 2, 3)])
    assert (strips[0].settings, strips[0].strip_type) == ((2, 10, 9, 0), strip_type)
    assert strips[0].shown == [[(1, 2, 3), (0, 0, 0)]]


def test_a_strip_that_does_not_begin_is_not_cleaned_up_at_exit(
    strips: list[FakeStrip], monkeypatch: pytest.MonkeyPatch
) -> None:
    unregistered: list[Callable[..., object]] = []
    monkeypatch.setattr(atexit, "unregister", unregistered.append)
    monkeypatch.setattr(FakeStrip, "begin_error", "ws2811_init failed with code -5 (mmap() failed)")
    with pytest.raises(HardwareNotInstalledError, match=r"gpio18: .*mmap.*: it needs root"):
        Ws281xStrip(count=1, pin=18, brightness=64).show([])
    assert unregistered == [strips[0]._cleanup]


def test_a_strip_that_fails_later_is_an_error_of_the_device(strips: list[FakeStrip]) -> None:
    strip = Ws281xStrip(count=1, pin=18, brightness=64)
    strip.show([])
    strips[0].show_error = "ws2811_render failed"
    with pytest.raises(DeviceUnavailableError, match="gpio18: ws2811_render failed"):
        strip.show([])


def test_too_many_pixels_are_refused_before_anything_is_opened(strips: list[FakeStrip]) -> None:
    with pytest.raises(BadDeviceDataError, match="expected at most 1"):
        Ws281xStrip(count=1, pin=18, brightness=64).show([Color(0, 0, 0)] * 2)
    assert strips == []


# DHT22


def test_each_attempt_takes_a_fresh_sensor_without_a_helper_process(
    dht22: type[FakeDht22],
) -> None:
    dht22.outcomes = [(21.5, 45.0), (21.6, 45.1)]
    assert dht22_wire.read_wire(4) == Climate(21.5, 45.0)
    assert dht22_wire.read_wire(4) == Climate(21.6, 45.1)
    assert dht22.made == [("the pin D4", False)] * 2
    assert dht22.exits == 2


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (RuntimeError("DHT sensor not found, check wiring"), DeviceUnavailableError),
        (RuntimeError("A full buffer was not returned. Try again."), BadDeviceDataError),
        (RuntimeError("Checksum did not validate. Try again."), BadDeviceDataError),
        (OSError(errno.EBUSY, "Device or resource busy"), DeviceUnavailableError),
        ((None, None), DeviceUnavailableError),
    ],
)
def test_what_goes_wrong_is_named_with_the_pin(
    dht22: type[FakeDht22],
    outcome: tuple[None, None] | Exception,
    error: type[Exception],
) -> None:
    dht22.outcomes = [outcome]
    with pytest.raises(error, match="DHT22 at gpio4"):
        dht22_wire.read_wire(4)
    assert dht22.exits == 1


def test_a_pin_that_the_board_lacks_is_named(dht22: type[FakeDht22]) -> None:
    with pytest.raises(HardwareNotInstalledError, match="no gpio5"):
        dht22_wire.read_wire(5)


# SPI


def test_spi_is_opened_at_first_use_and_clocks_both_ways(spidev: FakeSpiDev) -> None:
    bus = SpiBus("0.1")
    assert bus.transfer(b"\x00\x0f") == b"\xff\xf0"
    assert bus.transfer(b"") == b""
    assert (spidev.opened, spidev.max_speed_hz, spidev.mode) == ((0, 1), 1_000_000, 0)
    bus.close()
    assert spidev.opened == (-1, -1)
    with pytest.raises(DeviceUnavailableError, match=r"spi 0\.1 is closed"):
        bus.transfer(b"x")


def test_more_than_the_kernel_takes_at_once_is_refused(spidev: FakeSpiDev) -> None:
    with pytest.raises(BadDeviceDataError, match="found 4097 bytes, expected at most 4096"):
        SpiBus("0.0").transfer(bytes(4097))


def test_spi_errors_are_named_with_bus_or_file(spidev: FakeSpiDev) -> None:
    bus = SpiBus("0.0")
    spidev.error = FileNotFoundError(errno.ENOENT, "No such file or directory")
    with pytest.raises(HardwareNotInstalledError, match=r"/dev/spidev0\.0: No such file.*do_spi"):
        bus.transfer(b"x")
    spidev.error = None
    # The refusal is kept for a while; another handle knows nothing of it.
    bus = SpiBus("0.0")
    bus.transfer(b"x")
    spidev.error = OSError(errno.EIO, "Input/output error")
    with pytest.raises(DeviceUnavailableError, match=r"^spi 0\.0: Input/output error$"):
        bus.transfer(b"x")


# Serial port


def test_the_port_reads_what_has_arrived_and_sends(ports: list[FakeSerial]) -> None:
    port = SerialPort("/dev/serial0")
    assert port.read(10) == b""
    ports[0].arrived = b"$GPGGA"
    assert port.read(4) == b"$GPG"
    assert port.read(4) == b"GA"
    assert port.write(b"hello") == 5
    assert ports[0].sent == b"hello"
    port.close()
    assert not ports[0].is_open
    with pytest.raises(DeviceUnavailableError, match="/dev/serial0 is closed"):
        port.read(1)


def test_a_port_that_went_away_is_opened_anew_at_the_same_rate(ports: list[FakeSerial]) -> None:
    port = SerialPort("/dev/ttyUSB0")
    port.set_baud(38400)
    FakeSerial.error = OSError("device reports readiness to read but returned no data")
    with pytest.raises(DeviceUnavailableError, match="/dev/ttyUSB0: device reports"):
        port.read(1)
    assert not ports[0].is_open
    FakeSerial.error = None
    port.read(1)
    assert (len(ports), ports[1].baudrate) == (2, 38400)


def test_a_rate_that_is_none_is_refused(ports: list[FakeSerial]) -> None:
    with pytest.raises(BadDeviceDataError, match="/dev/serial0: cannot run at 0 baud"):
        SerialPort("/dev/serial0").set_baud(0)


def test_a_missing_port_is_named_with_its_remedy(ports: list[FakeSerial]) -> None:
    FakeSerial.error = OSError(errno.ENOENT, "could not open port")
    with pytest.raises(HardwareNotInstalledError, match=r"/dev/serial0: .*do_serial_hw"):
        SerialPort("/dev/serial0").read(1)


# The board


@pytest.fixture
def hardware() -> Hardware:
    return open_hardware(msgspec.convert(CONFIG, Config))


def test_the_configuration_wires_up_the_board(
    hardware: Hardware, gpio: FakeGpio, strips: list[FakeStrip], dht22: type[FakeDht22]
) -> None:
    dht22.outcomes = [(21.5, 45.0)]
    assert hardware.read_dht22(4) == Climate(21.5, 45.0)
    hardware.set_relay(Relay.BUZZER, on=True)
    hardware.set_relay(Relay.FAN, on=True)
    hardware.show_pixels([Color(9, 9, 9)])
    gpio.log.clear()
    hardware.close()
    hardware.close()
    assert sorted(gpio.log) == [("output", 17, 1), ("output", 27, 0)]
    assert strips[0].shown[-1] == [(0, 0, 0)] * 2


def test_a_part_that_fails_to_close_keeps_no_other_from_closing(
    hardware: Hardware, gpio: FakeGpio, strips: list[FakeStrip]
) -> None:
    hardware.set_relay(Relay.BUZZER, on=True)
    hardware.show_pixels([])
    strips[0].show_error = "ws2811_render failed"
    gpio.log.clear()
    with pytest.raises(DeviceUnavailableError):
        hardware.close()
    assert gpio.log == [("output", 17, 1)]


@pytest.mark.parametrize(
    ("library", "use"),
    [
        ("adafruit_dht", lambda hardware: hardware.read_dht22(4)),
        ("gpiod", lambda hardware: hardware.set_relay(Relay.FAN, on=True)),
        ("rpi_ws281x", lambda hardware: hardware.show_pixels([])),
        ("spidev", lambda hardware: hardware.spi_transfer(b"x")),
        ("serial", lambda hardware: hardware.uart_read(1)),
        ("smbus2", lambda hardware: hardware.i2c_transfer(0x77, b"", 1)),
    ],
)
def test_a_missing_library_is_named_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch,
    hardware: Hardware,
    library: str,
    use: Callable[[Hardware], object],
) -> None:
    for name in (library, "RPi.GPIO"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(HardwareNotInstalledError) as caught:
        use(hardware)
    assert f"{library} is missing: pip install '<wheel or folder>[pi]'" in str(caught.value)


def test_a_library_that_refuses_this_machine_is_named(
    monkeypatch: pytest.MonkeyPatch, hardware: Hardware
) -> None:
    def refuse(_: str) -> types.ModuleType:
        raise RuntimeError("This module can only be run on a Raspberry Pi!")

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(HardwareNotInstalledError, match=r"RPi\.GPIO does not run here: This"):
        hardware.set_relay(Relay.FAN, on=True)


def test_opening_imports_no_library_and_nothing_of_the_other_kind() -> None:
    script = f"""
import sys, msgspec
from bus.config.settings import Config
from node_agent.hal.board import open_hardware
config = msgspec.convert({CONFIG!r}, Config)
assert not [name for name in sys.modules if "simulated" in name or "raspberry" in name]
hardware = open_hardware(config)
hardware.close()
assert not [name for name in sys.modules if "simulated" in name]
assert not set({LIBRARIES!r}) & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=WAIT_S)
