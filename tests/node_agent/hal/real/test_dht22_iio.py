"""The kernel's driver of a DHT22, as files of a simulated sysfs."""

import errno
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent.hal.capabilities import Climate
from node_agent.hal.errors import (
    BadDeviceDataError,
    DeviceUnavailableError,
    HardwareNotInstalledError,
)
from node_agent.hal.real import dht22_iio, dht22_wire
from node_agent.hal.real.dht22_iio import Dht22Reader, device, overlay
from tests.node_agent.hal.real.open_files import open_files
from tests.support import WAIT_S, wait_until


class Sysfs:
    """A root with one IIO device a call of `add`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, number: int, name: str, **files: bytes | str) -> Path:
        path = self.root / f"sys/bus/iio/devices/iio:device{number}"
        (path / "of_node").mkdir(parents=True)
        (path / "name").write_text(f"{name}\n")
        for file, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (path / file.replace("__", "/")).write_bytes(data)
        return path

    def add_dht22(self, number: int, pin: int, temperature: str = "21500\n") -> Path:
        return self.add(
            number,
            f"dht11@{pin:x}",
            of_node__gpios=struct.pack(">III", 0x10, pin, 0),
            in_temp_input=temperature,
            in_humidityrelative_input="45200\n",
        )


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


@pytest.fixture
def reader(sysfs: Sysfs) -> Iterator[Dht22Reader]:
    made = Dht22Reader("iio", sysfs.root, wait_s=WAIT_S)
    yield made
    made.close()


def test_a_measurement_has_thousandths(sysfs: Sysfs, reader: Dht22Reader) -> None:
    sysfs.add(0, "tsl2561", in_illuminance_input="12\n")
    sysfs.add_dht22(1, 22, "-10100\n")
    sysfs.add_dht22(2, 4)
    assert reader.read(4) == Climate(21.5, 45.2)
    assert reader.read(22) == Climate(-10.1, 45.2)


def test_the_pin_is_the_one_of_the_device_tree_whatever_the_name_says(sysfs: Sysfs) -> None:
    # The overlay of older systems called every sensor dht11@0.
    path = sysfs.add(0, "dht11@0", of_node__gpios=struct.pack(">III", 0x10, 17, 0))
    assert device(17, sysfs.root) == path
    assert device(0, sysfs.root) is None


def test_without_a_device_tree_the_name_tells_the_pin_in_hexadecimal(sysfs: Sysfs) -> None:
    path = sysfs.add(0, "dht11@1b")
    sysfs.add(1, "dht11@x")
    sysfs.add(2, "dht11")
    assert [device(pin, sysfs.root) for pin in (27, 1)] == [path, None]


def test_a_pin_that_the_kernel_does_not_have_is_named_with_the_overlay(
    sysfs: Sysfs, reader: Dht22Reader
) -> None:
    sysfs.add_dht22(0, 4)
    with pytest.raises(HardwareNotInstalledError, match=r"gpio17: add dtoverlay=dht11,gpiopin=17"):
        reader.read(17)
    assert overlay(17) == "dtoverlay=dht11,gpiopin=17"


def test_auto_takes_the_kernels_driver_as_soon_as_it_is_there(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dht22_wire, "read_wire", lambda pin: Climate(1.0, float(pin)))
    reader = Dht22Reader("auto", sysfs.root, wait_s=WAIT_S)
    assert reader.read(4) == Climate(1.0, 4.0)
    sysfs.add_dht22(0, 4)
    assert reader.read(4) == Climate(21.5, 45.2)
    assert Dht22Reader("adafruit", sysfs.root, wait_s=WAIT_S).read(4) == Climate(1.0, 4.0)
    reader.close()


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.EIO, BadDeviceDataError("the DHT22 at gpio4: bits are missing or garbled")),
        (errno.ETIMEDOUT, DeviceUnavailableError("no answer from the DHT22 at gpio4")),
        (errno.ENODEV, DeviceUnavailableError("the DHT22 at gpio4: No such device")),
    ],
)
def test_what_the_driver_reports_is_named_with_the_pin(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch, number: int, error: Exception
) -> None:
    sysfs.add_dht22(0, 4)
    reader = Dht22Reader("iio", sysfs.root, wait_s=WAIT_S)

    def fail(_: Path) -> float:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(dht22_iio, "_thousandths", fail)
    with pytest.raises(type(error), match=str(error)):
        reader.read(4)
    reader.close()


@pytest.mark.parametrize("text", ["", "21.5\n", "\x00\xff\n"])
def test_a_value_that_is_no_number_is_bad_data(
    sysfs: Sysfs, reader: Dht22Reader, text: str
) -> None:
    sysfs.add_dht22(0, 4, text)
    with pytest.raises(BadDeviceDataError, match="the DHT22 at gpio4"):
        reader.read(4)


def test_a_silent_sensor_does_not_hold_up_its_caller_and_costs_one_thread(sysfs: Sysfs) -> None:
    path = sysfs.add_dht22(0, 4)
    (path / "in_temp_input").unlink()
    # Opened for reading, it blocks until somebody writes: the kernel's driver waits for edges.
    os.mkfifo(path / "in_temp_input")
    reader = Dht22Reader("iio", sysfs.root, wait_s=0.01)
    before, threads = open_files(), threading.active_count()
    for _ in range(50):
        with pytest.raises(DeviceUnavailableError, match="no answer from the DHT22 at gpio4"):
            reader.read(4)
    assert threading.active_count() <= threads + 1
    (path / "in_temp_input").write_text("21500\n")
    wait_until(lambda: open_files() <= before)
    (path / "in_temp_input").unlink()
    (path / "in_temp_input").write_text("19000\n")

    def answers() -> bool:
        try:
            return reader.read(4) == Climate(19.0, 45.2)
        except DeviceUnavailableError:
            return False

    wait_until(answers)
    reader.close()
    assert threading.active_count() <= threads


def test_a_caller_with_a_cycle_of_2_s_waits_until_the_driver_measures_again(sysfs: Sysfs) -> None:
    sysfs.add_dht22(0, 4)
    waits: list[float] = []
    times = iter((0.0, 0.025, 2.0, 2.05, 2.1, 9.0, 9.1))
    reader = Dht22Reader(
        "iio", sysfs.root, wait_s=WAIT_S, now=lambda: next(times), sleep=waits.append
    )
    # The third is much too early: the driver repeats its value, as the class above it would.
    for _ in range(3):
        reader.read(4)
    assert waits == [pytest.approx(0.025)]
    reader.close()
