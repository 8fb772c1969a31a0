"""Reads of a DHT22 through the kernel's driver dht11, which times the bits itself.

The overlay `dtoverlay=dht11,gpiopin=4` in config.txt makes an IIO device of the sensor. Linux,
drivers/iio/humidity/dht11.c: a read of either value starts a measurement unless the last one is
younger than 2 s; it fails with EIO where bits are garbled, and with ETIMEDOUT after 1 s where edges
are missing.
"""

import errno
import os
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from node_agent.hal.capabilities import Climate
from node_agent.hal.errors import (
    BadDeviceDataError,
    DeviceUnavailableError,
    HardwareNotInstalledError,
)
from node_agent.hal.real import dht22_wire

ROOT = Path("/")
Driver = Literal["auto", "iio", "adafruit"]

_DRIVER = "dht11"
# A measurement takes 25 ms: 20 ms of start signal and 5 ms of bits. One that fails takes 1 s, in
# which a poll of a plugin would be cut off.
_WAIT_S = 0.3
# The driver repeats a value that is younger than that.
_VALID_S = 2.0
# A caller with a cycle of 2 s is as early as a measurement takes, and a little more each time.
_EARLY_S = 0.1
# Device tree: phandle of the GPIO controller, number of the line, flags.
_GPIOS = struct.Struct(">III")


def overlay(pin: int) -> str:
    """Return the line of config.txt that gives the sensor on BCM `pin` to the kernel."""
    return f"dtoverlay={_DRIVER},gpiopin={pin}"


def device(pin: int, root: Path = ROOT) -> Path | None:
    """Return the IIO device of the sensor on BCM `pin`, or None where the kernel has none."""
    return next((path for found, path in _devices(root) if found == pin), None)


class Dht22Reader:
    """One attempt to read a sensor, by the kernel's driver or by adafruit_dht.

    "auto" takes the kernel's driver where it has the pin: then no other program may use it.
    """

    def __init__(
        self,
        driver: Driver = "auto",
        root: Path = ROOT,
        *,
        wait_s: float = _WAIT_S,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._driver = driver
        self._root = root
        self._wait_s = wait_s
        self._now = now
        self._sleep = sleep
        self._reads: dict[int, Future[Climate]] = {}
        self._measured_s: dict[int, float] = {}
        # Reads that take longer than the caller waits; each ends within 1 s for each value.
        self._threads = ThreadPoolExecutor(thread_name_prefix="dht22")

    def read(self, pin: int) -> Climate:
        """Read the sensor on BCM `pin` once."""
        found = None if self._driver == "adafruit" else device(pin, self._root)
        if found is not None:
            return self._read_in_time(pin, found)
        if self._driver == "iio":
            raise HardwareNotInstalledError(
                f"the kernel has no DHT22 at gpio{pin}: add {overlay(pin)} to "
                "/boot/firmware/config.txt and reboot"
            )
        return dht22_wire.read_wire(pin)

    def close(self) -> None:
        self._threads.shutdown()

    def _read_in_time(self, pin: int, path: Path) -> Climate:
        running = self._reads.get(pin)
        if running is not None and not running.done():
            raise DeviceUnavailableError(f"no answer from the DHT22 at gpio{pin} yet")
        self._await_a_new_value(pin)
        self._reads[pin] = reading = self._threads.submit(_measure, pin, path)
        try:
            climate = reading.result(self._wait_s)
        except TimeoutError as e:
            raise DeviceUnavailableError(f"no answer from the DHT22 at gpio{pin}") from e
        self._measured_s[pin] = self._now()
        return climate

    def _await_a_new_value(self, pin: int) -> None:
        early_s = self._measured_s.get(pin, -_VALID_S) + _VALID_S - self._now()
        if 0 < early_s <= _EARLY_S:
            self._sleep(early_s)


def _devices(root: Path) -> Iterator[tuple[int, Path]]:
    for path in sorted((root / "sys/bus/iio/devices").glob("iio:device*")):
        if (pin := _pin(path)) is not None:
            yield pin, path


def _pin(path: Path) -> int | None:
    """Return the pin of an IIO device of this driver, None where it is of another."""
    name, _, address = _text(path / "name").partition("@")
    if name != _DRIVER:
        return None
    try:
        return int(_GPIOS.unpack((path / "of_node/gpios").read_bytes())[1])
    except (OSError, struct.error):
        # The overlay calls the device by its pin, in hexadecimal.
        return _hexadecimal(address)


def _measure(pin: int, path: Path) -> Climate:
    try:
        # The second value is of the measurement that the first one started.
        return Climate(_thousandths(path / "in_temp_input"), _humidity_pct(path))
    except OSError as e:
        raise _translated(pin, e) from e
    except ValueError as e:
        raise BadDeviceDataError(f"the DHT22 at gpio{pin}: {e}") from e


def _humidity_pct(path: Path) -> float:
    return _thousandths(path / "in_humidityrelative_input")


def _thousandths(path: Path) -> float:
    """Return a value in degC or %RH, of which sysfs has thousandths (sysfs-bus-iio)."""
    return int(path.read_text()) / 1000


def _translated(pin: int, error: OSError) -> DeviceUnavailableError | BadDeviceDataError:
    if error.errno == errno.EIO:
        return BadDeviceDataError(f"the DHT22 at gpio{pin}: bits are missing or garbled")
    if error.errno == errno.ETIMEDOUT:
        return DeviceUnavailableError(f"no answer from the DHT22 at gpio{pin}")
    reason = os.strerror(error.errno or 0)
    return DeviceUnavailableError(f"the DHT22 at gpio{pin}: {reason}")


def _hexadecimal(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
