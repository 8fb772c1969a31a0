"""A real I2C bus, through the kernel's i2c-dev and smbus2."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.real import library
from node_agent.hal.real.handle import Handle

REMEDY = "turn I2C on with `sudo raspi-config nonint do_i2c 0` and join the group i2c"

# linux/i2c-dev.h: how long the adapter waits for one transaction, in steps of 10 ms.
_I2C_TIMEOUT = 0x0702
# A whole SSD1306 frame takes 93 ms at 100 kHz; a stuck bus is given up before a poll's deadline.
_TIMEOUT_10_MS = 25
# What the kernel reports where nobody acknowledges (Documentation/i2c/fault-codes.rst): the
# Raspberry Pi's adapter says EREMOTEIO, others ENXIO or EIO.
_NO_ANSWER = frozenset((errno.ENXIO, errno.EREMOTEIO, errno.EIO))
_GONE = frozenset((errno.ENODEV, errno.EBADF))


class I2cBus:
    """The bus of the device file `path`, opened at first use."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._name = Path(path).name
        self._handle: Handle[Any] = Handle(self._name, self._open, lambda bus: bus.close())

    def transfer(self, address: int, data: bytes, read_len: int) -> bytes:
        """Make one transaction; the lock holds all of it, so no other thread's comes between."""
        with self._handle.use() as bus:
            answer, messages = _messages(address, data, read_len)
            try:
                bus.i2c_rdwr(*messages)
            except OSError as e:
                if e.errno in _GONE:
                    self._handle.drop()
                raise self._translated(e, address) from e
            return bytes(answer) if answer is not None else b""

    def close(self) -> None:
        self._handle.close()

    def _open(self) -> Any:
        smbus2 = library.load("smbus2")
        try:
            bus = smbus2.SMBus(self._path)
        except OSError as e:
            raise library.missing_file(self._path, e, REMEDY) from e
        try:
            fcntl.ioctl(bus.fd, _I2C_TIMEOUT, _TIMEOUT_10_MS)
        except OSError as e:
            bus.close()
            raise library.missing_file(self._path, e, REMEDY) from e
        return bus

    def _translated(self, error: OSError, address: int) -> DeviceUnavailableError:
        place = f"{self._name} 0x{address:02x}"
        if error.errno in _NO_ANSWER:
            return DeviceUnavailableError(f"no answer at {place}")
        if error.errno == errno.ETIMEDOUT:
            return DeviceUnavailableError(f"no end of the transfer at {place}: is a wire stuck?")
        return DeviceUnavailableError(f"{place}: {os.strerror(error.errno or 0)}")


def _messages(address: int, data: bytes, read_len: int) -> tuple[Any, list[Any]]:
    """Return the message that gets the answer, if any, and all messages in order.

    With nothing to write or read, an empty write asks whether somebody is there.
    """
    i2c_msg = library.load("smbus2").i2c_msg
    answer = i2c_msg.read(address, read_len) if read_len else None
    messages = [i2c_msg.write(address, data)] if data or answer is None else []
    return answer, messages if answer is None else [*messages, answer]
