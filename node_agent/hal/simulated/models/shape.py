"""Shape of a chip model in a plugin's `simulated.py`, one protocol for each bus.

A model is a plain class; it inherits nothing and imports nothing of this program. Every public
class of the file that has an attribute `bus` is a chip on the simulated board:

    class Bh1750:
        bus = "i2c"
        address = 0x23
        illuminance_lx = 300.0                  # a scenario key and its default

        def transfer(self, write: bytes, read_length: int, now_s: float) -> bytes:
            return round(self.illuminance_lx * 1.2).to_bytes(2, "big")[:read_length]

Class attributes that are numbers, in lower case and without a leading underscore, are the scenario
keys. Before each call they are set to the scenario's values at that time. `now_s` is the scenario's
time in seconds. An object is made without arguments at power-on, and again when the scenario
replugs the chip. Its methods are never called by two threads at once.

A method that raises OSError does not acknowledge, like a chip that is not ready: the plugin gets an
error of the bus. Any other exception is a mistake in the model: it is logged once, with its line.
"""

from typing import ClassVar, Literal, Protocol

Bus = Literal["i2c", "spi", "uart"]


class I2cModel(Protocol):
    """Chip on I2C, at `address` or, one object each, at every one of `addresses`.

    An object of several finds its own address in `self.address`.
    """

    bus: ClassVar[Literal["i2c"]]
    address: int

    def transfer(self, write: bytes, read_length: int, now_s: float) -> bytes:
        """Take `write`, then return `read_length` bytes; either may be empty."""


class SpiModel(Protocol):
    """Chip on SPI."""

    bus: ClassVar[Literal["spi"]]

    def transfer(self, data: bytes, now_s: float) -> bytes:
        """Return what comes out while `data` goes in: as many bytes."""


class UartModel(Protocol):
    """Device on the serial port. `baud` is its rate, by default 9600; at another one it is garbled.

    `write(data, now_s)`, which takes what the plugin sends, may be missing.
    """

    bus: ClassVar[Literal["uart"]]

    def read(self, now_s: float) -> bytes:
        """Return what the device sent since the last call."""
