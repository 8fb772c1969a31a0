"""The driver piControl at the level of its ioctls, after piControl.h and its man pages."""

import errno
import os
import struct


class FakeDriver:
    """A process image of 4096 bytes; `variables` have an address, a bit and a length in bits."""

    def __init__(self, **variables: tuple[int, int, int]) -> None:
        self.image = bytearray(4096)
        self.variables = variables
        self.error: OSError | None = None
        self.open_error: OSError | None = None
        self.is_open = 0
        self.opened = 0
        self.writes = 0

    def open(self) -> "FakeFile":
        if self.open_error:
            raise self.open_error
        self.is_open += 1
        self.opened += 1
        return FakeFile(self)

    def word(self, name: str) -> int:
        address, _, length_bits = self.variables[name]
        return int.from_bytes(self.image[address : address + length_bits // 8], "little")


class FakeFile:
    def __init__(self, driver: FakeDriver) -> None:
        self._driver = driver
        # One a device, as the kernel's: a test counts them.
        self._fd = os.open("/dev/null", os.O_RDWR)

    def ioctl(self, request: int, argument: bytearray) -> None:
        if self._driver.error:
            raise self._driver.error
        magic, number = request >> 8, request & 0xFF
        assert magic == ord("K")
        if number == 17:
            self._find_variable(argument)
        else:
            assert number == 16
            self._set_value(argument)

    def read_at(self, address: int, length: int) -> bytes:
        if self._driver.error:
            raise self._driver.error
        return bytes(self._driver.image[address : address + length])

    def close(self) -> None:
        self._driver.is_open -= 1
        os.close(self._fd)

    def _find_variable(self, argument: bytearray) -> None:
        assert len(argument) == 38
        name = argument[:32].partition(b"\0")[0].decode()
        address, bit, length_bits = self._driver.variables.get(name, (0xFFFF, 0xFF, 0xFFFF))
        struct.pack_into("<H", argument, 32, address)
        struct.pack_into("<B", argument, 34, bit)
        struct.pack_into("<H", argument, 36, length_bits)
        if name not in self._driver.variables:
            raise OSError(errno.ENOENT, "No such file or directory")

    def _set_value(self, argument: bytearray) -> None:
        assert len(argument) == 4
        address, bit, value = struct.unpack("<HBB", argument)
        assert bit < 8
        assert value in (0, 1)
        self._driver.writes += 1
        mask = 1 << bit
        self._driver.image[address] = self._driver.image[address] & ~mask | (mask if value else 0)
