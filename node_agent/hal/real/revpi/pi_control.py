"""The process image of a Revolution Pi: its variables, through the driver piControl.

Numbers and structures: RevolutionPi/piControl, piControl.h and doc/KB_FIND_VARIABLE.2.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Callable
from typing import Protocol

import msgspec

from node_agent.hal.errors import (
    BadDeviceDataError,
    DeviceUnavailableError,
    HardwareNotInstalledError,
)
from node_agent.hal.real.handle import Handle
from node_agent.hal.real.library import missing_file

DEVICE = "/dev/piControl0"
GROUP = "picontrol"
REMEDY = f"on a Revolution Pi, join the group {GROUP}; no other machine has it"

# _IO('K', n): no size and no direction.
KB_SET_VALUE = 0x4B10
KB_FIND_VARIABLE = 0x4B11
# SPIVariable: name, address of its byte, bit in it (8 and more: whole bytes), length in bits.
VARIABLE = struct.Struct("<32sHBxH")
# SPIValue: address, bit, value.
VALUE = struct.Struct("<HBB")


class Variable(msgspec.Struct, frozen=True):
    """Place of a variable in the process image. `bit` is 0 where it has whole bytes."""

    address: int
    bit: int
    length_bits: int


class DeviceFile(Protocol):
    """An open /dev/piControl0."""

    def ioctl(self, request: int, argument: bytearray) -> None:
        """Make the call; the driver may write to `argument`. Raises OSError."""

    def read_at(self, address: int, length: int) -> bytes: ...

    def close(self) -> None: ...


class KernelDevice:
    """The kernel's own device file."""

    def __init__(self, path: str = DEVICE) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def ioctl(self, request: int, argument: bytearray) -> None:
        fcntl.ioctl(self._fd, request, argument)

    def read_at(self, address: int, length: int) -> bytes:
        return os.pread(self._fd, length, address)

    def close(self) -> None:
        os.close(self._fd)


class PiControl:
    """Variables by name, as PiCtory configured them. Any thread may call."""

    def __init__(self, open_device: Callable[[], DeviceFile] = KernelDevice) -> None:
        self._open_device = open_device
        self._handle: Handle[DeviceFile] = Handle(DEVICE, self._open, lambda device: device.close())

    def find(self, name: str) -> Variable:
        """Return the place of `name`. Raises HardwareNotInstalledError where there is none."""
        argument = bytearray(VARIABLE.pack(name.encode(), 0, 0, 0))
        with self._handle.use() as device:
            try:
                device.ioctl(KB_FIND_VARIABLE, argument)
            except OSError as e:
                if e.errno == errno.ENOENT:
                    raise HardwareNotInstalledError(
                        f"{DEVICE}: no variable {name}: add this base device in PiCtory"
                    ) from e
                raise self._translated(e) from e
        _, address, bit, length_bits = VARIABLE.unpack(argument)
        return Variable(address, bit if bit < 8 else 0, length_bits)

    def read(self, variable: Variable) -> int:
        """Return the value of a variable of whole bytes."""
        length = variable.length_bits // 8
        with self._handle.use() as device:
            try:
                data = device.read_at(variable.address, length)
            except OSError as e:
                raise self._translated(e) from e
        if not length or len(data) != length:
            raise BadDeviceDataError(
                f"{DEVICE}: found {len(data)} bytes at {variable.address}, expected {length}"
            )
        return int.from_bytes(data, "little")

    def set_bit(self, variable: Variable, bit: int, *, on: bool) -> None:
        """Set one bit of a variable. The others, which may be another program's, are kept."""
        position = variable.bit + bit
        argument = bytearray(VALUE.pack(variable.address + position // 8, position % 8, on))
        with self._handle.use() as device:
            try:
                device.ioctl(KB_SET_VALUE, argument)
            except OSError as e:
                raise self._translated(e) from e

    def close(self) -> None:
        self._handle.close()

    def _open(self) -> DeviceFile:
        try:
            return self._open_device()
        except OSError as e:
            raise missing_file(DEVICE, e, REMEDY) from e

    def _translated(self, error: OSError) -> DeviceUnavailableError:
        """Let go of the device, which a reset of the driver makes anew."""
        self._handle.drop()
        return DeviceUnavailableError(f"{DEVICE}: {error.strerror or error}")
