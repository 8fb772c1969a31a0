"""Our calls to the Raspberry Pi's libraries, against the libraries themselves.

They refuse to touch hardware off a Pi, so each test stops where its library stops. They are looked
for where `make test` puts them with `tests/install-pi-libraries`, or in the directory that
HARVESTER_PI_LIBRARIES names, and only by these tests' own interpreters.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PROJECT, WAIT_S

DIRECTORY = Path(
    os.environ.get("HARVESTER_PI_LIBRARIES") or PROJECT / ".harvester" / "pi-libraries"
)
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join((str(PROJECT), str(DIRECTORY)))}


def is_here(library: str) -> bool:
    script = "import importlib.util, sys; sys.exit(not importlib.util.find_spec(sys.argv[1]))"
    return python(script, library).returncode == 0


def python(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        env=ENVIRONMENT,
    )


def run(library: str, script: str) -> None:
    """Run `script` in an interpreter of its own: libraries change it, and may crash at its end."""
    if not is_here(library):
        missing = f"{library} is not in {DIRECTORY}: run tests/install-pi-libraries"
        if os.environ.get("CI"):
            pytest.fail(f"a gate skips nothing: {missing}")
        pytest.skip(missing)
    done = python(script)
    assert done.returncode == 0, done.stderr


def test_the_libraries_reach_no_other_test() -> None:
    files = [Path(getattr(module, "__file__", None) or "/") for module in sys.modules.values()]
    assert [str(file) for file in files if DIRECTORY in file.parents] == []
    assert str(DIRECTORY) not in sys.path


def test_a_missing_library_skips_a_test_here_and_fails_it_in_the_gate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no_such_library is not in"):
        run("no_such_library", "")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="run tests/install-pi-libraries"):
        run("no_such_library", "")


def test_rpi_gpio_refuses_this_machine_or_takes_our_calls() -> None:
    run(
        "RPi",
        """
from node_agent.hal.errors import HardwareNotInstalledError
from node_agent.hal.real.relay import GpioRelay
try:
    GpioRelay("buzzer", 17, active_low=True).set(on=False)
except HardwareNotInstalledError as e:
    assert "RPi.GPIO does not run here" in str(e) or "gpio17" in str(e), e
""",
    )


def test_gpiod_takes_our_settings_and_names_what_is_missing() -> None:
    run(
        "gpiod",
        """
import inspect, gpiod
from node_agent.hal.errors import HardwareNotInstalledError
from node_agent.hal.gpio import InputMode
from node_agent.hal.real.lines import kernel
for name in ("get_value", "set_value", "read_edge_events", "release", "fd"):
    assert hasattr(gpiod.LineRequest, name)
for name in ("timestamp_ns", "line_offset"):
    assert name in gpiod.EdgeEvent.__annotations__
assert gpiod.ChipInfo.__annotations__["label"]
kernel.CHIPS = "/dev/null"
for open_it in (
    kernel.header_chip,
    lambda: kernel.KernelLines("/dev/null").drive(17, high=True, safe_high=False),
    lambda: kernel.KernelLines("/dev/null").set_input(17, InputMode("up", "both"), print),
):
    try:
        open_it()
    except HardwareNotInstalledError as e:
        assert "/dev/null: No such device" in str(e), e
    else:
        raise SystemExit("expected an error")
inspect.signature(gpiod.request_lines).bind(
    "/dev/gpiochip0", consumer="x", config={}, event_buffer_size=256
)
""",
    )


def test_rpi_ws281x_takes_our_calls_and_its_refusal_does_not_crash_the_interpreter() -> None:
    run(
        "rpi_ws281x",
        """
import inspect
from rpi_ws281x import PixelStrip, ws
from node_agent.hal.capabilities import Color
from node_agent.hal.errors import HardwareNotInstalledError
from node_agent.hal.real.strip import STRIP_TYPES, Ws281xStrip
inspect.signature(PixelStrip).bind(11, 18, brightness=64, channel=0, strip_type=0)
for order, strip_type in STRIP_TYPES.items():
    assert getattr(ws, f"WS2811_STRIP_{order}") == strip_type, order
inspect.signature(PixelStrip.setPixelColorRGB).bind(None, 0, 1, 2, 3)
inspect.signature(PixelStrip.show).bind(None)
strip = Ws281xStrip(count=11, pin=18, brightness=64)
for _ in range(2):
    try:
        strip.show([Color(1, 2, 3)])
    except HardwareNotInstalledError as e:
        assert "ws2811_init failed" in str(e), e
strip.close()
""",
    )


def test_adafruit_dht_decodes_pulses_and_its_errors_are_told_apart() -> None:
    run(
        "adafruit_dht",
        """
import array, sys, types
sys.modules["board"] = types.SimpleNamespace(D4="the pin D4")
import adafruit_dht
from node_agent.hal.real import dht22_wire
from node_agent.hal.capabilities import Climate
from node_agent.hal.errors import BadDeviceDataError, DeviceUnavailableError

def pulses(data):
    bits = [byte >> shift & 1 for byte in data for shift in range(7, -1, -1)]
    return array.array("H", [80] + [us for bit in bits for us in (50, 70 if bit else 26)])

def answer(data):
    adafruit_dht.DHTBase._get_pulses_bitbang = lambda self: array.array("H", data)

def error():
    try:
        dht22_wire.read_wire(4)
    except (BadDeviceDataError, DeviceUnavailableError) as e:
        return type(e)

# The datasheet's example: 65.2 %RH, -10.1 degC. The library drops the first pulse of 81.
answer(pulses(b"\\x02\\x8c\\x80\\x65\\x73")[1:])
assert dht22_wire.read_wire(4) == Climate(-10.1, 65.2)
answer([])
assert error() is DeviceUnavailableError
answer(pulses(b"\\x02\\x8c\\x80\\x65\\x74")[1:])
assert error() is BadDeviceDataError
answer([50] * 40)
assert error() is BadDeviceDataError
# One that failed before must not repeat what it never read.
answer(pulses(b"\\x01\\xf4\\x00\\xd7\\xcc")[1:])
assert dht22_wire.read_wire(4) == Climate(21.5, 50.0)
""",
    )


@pytest.mark.parametrize("board", ["RASPBERRY_PI_4B", "RASPBERRY_PI_5", "RASPBERRY_PI_ZERO_2_W"])
def test_the_dht22_s_libraries_import_as_on_a_raspberry_pi(board: str) -> None:
    # Blinka imports the pins of the board that it finds, and what they need: gpiod, for one.
    run(
        "adafruit_dht",
        f"""
import os, sys
os.environ.update(BLINKA_FORCEBOARD="{board}", BLINKA_FORCECHIP="BCM2XXX")
from node_agent.hal.real import library
assert library.load("adafruit_dht").DHT22
assert library.load("board").D4.id == 4
assert "gpiod" in sys.modules
assert "RPi" not in sys.modules
""",
    )


def test_spidev_names_the_device_file_that_is_missing() -> None:
    run(
        "spidev",
        """
import spidev
from node_agent.hal.errors import HardwareNotInstalledError
from node_agent.hal.real.spi_bus import SpiBus
for name in ("open", "xfer2", "close", "max_speed_hz", "mode"):
    assert hasattr(spidev.SpiDev, name)
try:
    SpiBus("31.7").transfer(b"x")
except HardwareNotInstalledError as e:
    assert "/dev/spidev31.7: No such file or directory" in str(e), e
else:
    raise SystemExit("expected an error")
""",
    )


def test_pyserial_talks_through_a_pseudo_terminal() -> None:
    run(
        "serial",
        """
import os, tty
from node_agent.hal.errors import (
    BadDeviceDataError, DeviceUnavailableError, HardwareNotInstalledError,
)
from node_agent.hal.real.serial_port import SerialPort
far, near = os.openpty()
tty.setraw(far)
port = SerialPort(os.ttyname(near))
assert port.read(10) == b""
os.write(far, b"$GPGGA,1")
assert port.read(4) == b"$GPG"
assert port.read(100) == b"GA,1"
assert port.write(b"hello") == 5
assert os.read(far, 100) == b"hello"
port.set_baud(38400)
for rate in (-1, 0):
    try:
        port.set_baud(rate)
    except BadDeviceDataError:
        pass
os.close(near)
os.close(far)
try:
    port.read(1)
except DeviceUnavailableError as e:
    assert "/dev/pts/" in str(e)
port.close()
try:
    SerialPort("/dev/no-such-port").read(1)
except HardwareNotInstalledError as e:
    assert "/dev/no-such-port" in str(e)
else:
    raise SystemExit("expected an error")
""",
    )
