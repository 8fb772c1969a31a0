"""Simulated I2C bus: chips by address, one transfer at a time."""

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.simulated.wire import Wire


class Chip(Protocol):
    """A chip on the bus; it gets the bytes that follow its address."""

    def write(self, data: bytes) -> None: ...

    def read(self, read_len: int) -> bytes:
        """Return what it sends; nothing where it doesn't acknowledge that it is read."""


Transfer = Callable[[bytes, int], bytes]


class Slot(NamedTuple):
    """One chip and the wire that leads to it.

    `transfer(data, read_len)` is what the chip does; an answer without bytes is no acknowledge.
    """

    wire: Wire
    transfer: Transfer


def one_after_the_other(chip: Chip) -> Transfer:
    """Return the transfer of a chip that takes and answers apart."""

    def transfer(data: bytes, read_len: int) -> bytes:
        if data:
            chip.write(data)
        return chip.read(read_len) if read_len else b""

    return transfer


class SimulatedI2cBus:
    """The bus called `name`, with a slot an address."""

    def __init__(self, name: str, slots: Mapping[int, Slot]) -> None:
        self._name = name
        self._slots = dict(slots)
        self._lock = threading.Lock()
        self._closed = False

    def transfer(self, address: int, data: bytes, read_len: int) -> bytes:
        with self._lock:
            if self._closed:
                raise DeviceUnavailableError(f"{self._name} is closed")
            slot = self._slots.get(address)
            if slot is None:
                raise self._no_answer(address)
            slot.wire.begin_transfer()
            answer = slot.transfer(data, read_len)
            if read_len and not answer:
                raise self._no_answer(address)
            return slot.wire.transmit(answer)

    def close(self) -> None:
        with self._lock:
            self._closed = True

    def _no_answer(self, address: int) -> DeviceUnavailableError:
        return DeviceUnavailableError(f"no answer at {self._name} 0x{address:02x}")
