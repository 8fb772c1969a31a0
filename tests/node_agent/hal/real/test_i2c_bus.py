import contextlib
import ctypes
import errno
import os
from pathlib import Path
from typing import Any

import pytest
import smbus2.smbus2

from node_agent.hal.errors import DeviceUnavailableError, HardwareNotInstalledError
from node_agent.hal.real.i2c_bus import I2cBus

# linux/i2c-dev.h and linux/i2c.h
I2C_TIMEOUT, I2C_FUNCS, I2C_RDWR = 0x0702, 0x0705, 0x0707
I2C_M_RD = 0x0001
STEPS_10_MS = 25


class Message(ctypes.Structure):
    """struct i2c_msg, as the kernel declares it."""

    _fields_ = (
        ("addr", ctypes.c_uint16),
        ("flags", ctypes.c_uint16),
        ("len", ctypes.c_uint16),
        ("buf", ctypes.POINTER(ctypes.c_uint8)),
    )


class Messages(ctypes.Structure):
    """struct i2c_rdwr_ioctl_data, as the kernel declares it."""

    _fields_ = (("msgs", ctypes.POINTER(Message)), ("nmsgs", ctypes.c_uint32))


class Kernel:
    """Stands where `ioctl` enters the kernel: sees every message, and answers reads."""

    def __init__(self) -> None:
        self.transactions: list[list[tuple[str, int, bytes]]] = []
        self.answer = b""
        self.error = 0
        self.timeout_10_ms: int | None = None

    def ioctl(self, fd: int, request: int, argument: Any = 0) -> int:
        os.fstat(fd)
        if request == I2C_TIMEOUT:
            self.timeout_10_ms = argument
        elif request == I2C_RDWR:
            self._transact(Messages.from_buffer(argument))
        else:
            assert request == I2C_FUNCS
        return 0

    def _transact(self, data: Messages) -> None:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.transactions.append([self._seen(data.msgs[i]) for i in range(data.nmsgs)])

    def _seen(self, message: Message) -> tuple[str, int, bytes]:
        if message.flags & I2C_M_RD:
            ctypes.memmove(message.buf, self.answer, message.len)
            return "read", message.addr, bytes(message.len)
        assert message.flags == 0
        return "write", message.addr, ctypes.string_at(message.buf, message.len)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(smbus2.smbus2, "ioctl", made.ioctl)
    monkeypatch.setattr("fcntl.ioctl", made.ioctl)
    return made


@pytest.fixture
def bus(tmp_path: Path, kernel: Kernel) -> I2cBus:
    path = tmp_path / "i2c-1"
    path.touch()
    return I2cBus(str(path))


def test_a_write_and_a_read_are_one_transaction_with_a_repeated_start(
    bus: I2cBus, kernel: Kernel
) -> None:
    kernel.answer = b"\x61\x00\xff"
    assert bus.transfer(0x77, b"\xd0", 3) == b"\x61\x00\xff"
    assert kernel.transactions == [[("write", 0x77, b"\xd0"), ("read", 0x77, bytes(3))]]


def test_a_write_alone_is_one_message(bus: I2cBus, kernel: Kernel) -> None:
    assert bus.transfer(0x3C, b"\x00\xae\xff", 0) == b""
    assert kernel.transactions == [[("write", 0x3C, b"\x00\xae\xff")]]


def test_a_read_alone_is_one_message(bus: I2cBus, kernel: Kernel) -> None:
    kernel.answer = b"\x40"
    assert bus.transfer(0x3C, b"", 1) == b"\x40"
    assert kernel.transactions == [[("read", 0x3C, b"\x00")]]


def test_with_neither_an_empty_write_asks_whether_somebody_is_there(
    bus: I2cBus, kernel: Kernel
) -> None:
    assert bus.transfer(0x77, b"", 0) == b""
    assert kernel.transactions == [[("write", 0x77, b"")]]


def test_a_whole_display_frame_goes_in_one_message(bus: I2cBus, kernel: Kernel) -> None:
    frame = b"\x40" + bytes(range(256)) * 4
    bus.transfer(0x3C, frame, 0)
    assert kernel.transactions == [[("write", 0x3C, frame)]]


def test_the_bus_is_opened_once_and_told_when_to_give_up(bus: I2cBus, kernel: Kernel) -> None:
    bus.transfer(0x77, b"\xd0", 0)
    assert kernel.timeout_10_ms == STEPS_10_MS
    kernel.timeout_10_ms = None
    bus.transfer(0x77, b"\xd0", 0)
    assert kernel.timeout_10_ms is None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EREMOTEIO, r"^no answer at i2c-1 0x77$"),
        (errno.ENXIO, r"^no answer at i2c-1 0x77$"),
        (errno.EIO, r"^no answer at i2c-1 0x77$"),
        (errno.ETIMEDOUT, r"^no end of the transfer at i2c-1 0x77: is a wire stuck\?$"),
        (errno.EINVAL, r"^i2c-1 0x77: Invalid argument$"),
    ],
)
def test_the_kernels_errors_are_named_with_bus_and_address(
    bus: I2cBus, kernel: Kernel, code: int, message: str
) -> None:
    kernel.error = code
    with pytest.raises(DeviceUnavailableError, match=message):
        bus.transfer(0x77, b"\xd0", 1)
    kernel.error = 0
    kernel.answer = b"\x61"
    assert bus.transfer(0x77, b"\xd0", 1) == b"\x61"


def test_an_adapter_that_went_away_is_opened_anew(bus: I2cBus, kernel: Kernel) -> None:
    bus.transfer(0x77, b"\xd0", 0)
    kernel.error = errno.ENODEV
    with pytest.raises(DeviceUnavailableError, match="No such device"):
        bus.transfer(0x77, b"\xd0", 0)
    kernel.error, kernel.timeout_10_ms = 0, None
    bus.transfer(0x77, b"\xd0", 0)
    assert kernel.timeout_10_ms == STEPS_10_MS


def test_a_missing_device_file_is_named_with_its_remedy(tmp_path: Path, kernel: Kernel) -> None:
    bus = I2cBus(str(tmp_path / "i2c-7"))
    with pytest.raises(HardwareNotInstalledError, match=r"i2c-7: No such file .*raspi-config"):
        bus.transfer(0x77, b"\xd0", 1)


def test_closing_closes_the_file_and_ends_all_use(
    bus: I2cBus, kernel: Kernel, tmp_path: Path
) -> None:
    bus.transfer(0x77, b"\xd0", 0)
    assert times_open(tmp_path / "i2c-1") == 1
    bus.close()
    bus.close()
    assert times_open(tmp_path / "i2c-1") == 0
    with pytest.raises(DeviceUnavailableError, match="i2c-1 is closed"):
        bus.transfer(0x77, b"\xd0", 0)


def times_open(path: Path) -> int:
    """Return how many descriptors of this process lead to the file."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        # Another thread may close one meanwhile.
        with contextlib.suppress(OSError):
            count += link.readlink() == path
    return count
