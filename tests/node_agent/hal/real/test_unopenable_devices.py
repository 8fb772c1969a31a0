"""Devices that cannot be opened over many cycles, and that appear later: nothing leaks."""

import errno
import fcntl
import os
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from node_agent.hal.capabilities import Color
from node_agent.hal.errors import DeviceUnavailableError, HardwareNotInstalledError
from node_agent.hal.gpio import InputMode
from node_agent.hal.real import handle
from node_agent.hal.real.gpio import RaspberryGpio
from node_agent.hal.real.i2c_bus import I2cBus
from node_agent.hal.real.lines import kernel
from node_agent.hal.real.relay import GpioRelay
from node_agent.hal.real.revpi.front_leds import FrontLeds
from node_agent.hal.real.revpi.pi_control import PiControl
from node_agent.hal.real.serial_port import SerialPort
from node_agent.hal.real.spi_bus import SpiBus
from node_agent.hal.real.spi_strip import SpiStrip
from node_agent.hal.real.strip import Ws281xStrip
from tests.node_agent.hal.real.fake_gpiod import FakeChip, FakeGpiod
from tests.node_agent.hal.real.open_files import open_files
from tests.node_agent.hal.real.revpi.fake_pi_control import FakeDriver

CYCLES = 500
RED = Color(255, 0, 0)
ABSENT = FileNotFoundError(errno.ENOENT, "No such file or directory")
NO_RIGHT = PermissionError(errno.EACCES, "Permission denied")


class World:
    """Libraries whose devices cannot be used until `is_there`.

    Each opens a descriptor first and fails then, as a driver does whose device refuses a setting.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self.is_there = False
        self.gpiod = FakeGpiod(directory)
        self.chip = self.gpiod.add("gpiochip0", FakeChip())
        self.revpi = FakeDriver(RevPiLED=(11, 8, 16))
        self.chip.error, self.revpi.open_error = NO_RIGHT, ABSENT
        modules: dict[str, dict[str, object]] = {
            "spidev": {"SpiDev": lambda: Device(self)},
            "serial": {"Serial": lambda *_, **__: Device(self, opens_at_once=True)},
            "smbus2": {
                "SMBus": lambda _: Device(self),
                "i2c_msg": types.SimpleNamespace(write=lambda *_: None),
            },
            "rpi_ws281x": {"PixelStrip": lambda *_, **__: Device(self)},
        }
        for name, content in modules.items():
            module = types.ModuleType(name)
            vars(module).update(content)
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setitem(sys.modules, "gpiod", self.gpiod)
        monkeypatch.setitem(sys.modules, "gpiod.line", self.gpiod.line)
        monkeypatch.setitem(sys.modules, "RPi.GPIO", None)
        monkeypatch.setattr(kernel, "CHIPS", self.gpiod.pattern)
        monkeypatch.setattr(fcntl, "ioctl", lambda *_: self.check())

    def appear(self) -> None:
        self.is_there = True
        self.chip.error = self.revpi.open_error = None

    def check(self) -> None:
        if not self.is_there:
            raise OSError(errno.ENODEV, "No such device")


class Device:
    """Everything that our drivers call of a library's device."""

    def __init__(self, world: World, *, opens_at_once: bool = False) -> None:
        self._world = world
        self.mode = 0
        self.fd = -1
        if opens_at_once:
            world.check()
        self.fd = os.open("/dev/null", os.O_RDWR)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "max_speed_hz":
            self._world.check()
        super().__setattr__(name, value)

    def open(self, *_: int) -> None: ...

    def begin(self) -> None:
        try:
            self._world.check()
        except OSError as e:
            raise RuntimeError("ws2811_init failed with code -5 (mmap() failed)") from e

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def show(self) -> None: ...

    def _cleanup(self) -> None: ...

    def setPixelColorRGB(self, *_: int) -> None: ...  # noqa: N802 - the library's name

    def writebytes2(self, _: bytes) -> None: ...

    def xfer2(self, data: list[int]) -> list[int]:
        return data

    def read(self, _: int) -> bytes:
        return b""

    def i2c_rdwr(self, *_: Any) -> None: ...


class Case(NamedTuple):
    make: Callable[[World], Any]
    use: Callable[[Any], object]


CASES = {
    "strip by DMA": Case(
        lambda _: Ws281xStrip(count=2, pin=18, brightness=64), lambda strip: strip.show([RED])
    ),
    "strip by SPI": Case(
        lambda _: SpiStrip(count=2, pin=10, brightness=64), lambda strip: strip.show([RED])
    ),
    "LEDs of a Revolution Pi": Case(
        lambda world: FrontLeds(PiControl(world.revpi.open), 2), lambda leds: leds.show([RED])
    ),
    "relay": Case(
        lambda _: GpioRelay("buzzer", 17, active_low=True), lambda relay: relay.set(on=True)
    ),
    "button": Case(
        lambda _: RaspberryGpio(), lambda pins: pins.set_input(5, InputMode("up", "both"))
    ),
    "output": Case(
        lambda _: RaspberryGpio(), lambda pins: pins.drive(5, high=True, safe_high=False)
    ),
    "display": Case(lambda _: I2cBus("/dev/i2c-1"), lambda bus: bus.transfer(0x3C, b"\x00\xe3", 0)),
    "SPI chip": Case(lambda _: SpiBus("0.0"), lambda bus: bus.transfer(b"x")),
    "serial port": Case(lambda _: SerialPort("/dev/serial0"), lambda port: port.read(1)),
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    return World(monkeypatch, tmp_path)


class OpenThings:
    """Files and threads of this process; what other tests left behind may end at any time."""

    def __init__(self) -> None:
        self._files = open_files()
        self._threads = set(threading.enumerate())

    def check(self) -> None:
        """Assert that the attempts since then left nothing open, one each being far more."""
        assert open_files() - self._files < CYCLES // 2
        assert len(self.new_threads()) < CYCLES // 2

    def new_threads(self) -> set[threading.Thread]:
        return set(threading.enumerate()) - self._threads


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_device_that_cannot_be_opened_leaks_nothing_and_works_when_it_appears(
    case: Case, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each use is an attempt to open it.
    monkeypatch.setattr(handle, "_FIRST_RETRY_S", 0.0)
    device = case.make(world)
    before = OpenThings()
    for _ in range(CYCLES):
        with pytest.raises(HardwareNotInstalledError):
            case.use(device)
    before.check()
    world.appear()
    for _ in range(CYCLES):
        case.use(device)
    before.check()
    device.close()
    with pytest.raises(DeviceUnavailableError, match="closed"):
        case.use(device)
    assert before.new_threads() == set()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_device_that_cannot_be_opened_is_not_tried_in_each_cycle(
    case: Case, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_FIRST_RETRY_S", "_LONGEST_RETRY_S"):
        monkeypatch.setattr(handle, name, 3600.0)
    device = case.make(world)
    with pytest.raises(HardwareNotInstalledError) as first:
        case.use(device)
    world.appear()
    for _ in range(3):
        with pytest.raises(HardwareNotInstalledError) as again:
            case.use(device)
        assert str(again.value) == str(first.value)
