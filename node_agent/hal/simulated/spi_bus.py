"""Simulated SPI bus with one chip, or with its output wired to its input."""

import threading
from collections.abc import Callable

from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.simulated.wire import Wire


class SimulatedSpiBus:
    """`exchange(data)` is what the chip answers; without one, what goes out comes back in."""

    def __init__(self, wire: Wire, exchange: Callable[[bytes], bytes] = bytes) -> None:
        self._wire = wire
        self._exchange = exchange
        self._lock = threading.Lock()
        self._closed = False

    def transfer(self, data: bytes) -> bytes:
        with self._lock:
            if self._closed:
                raise DeviceUnavailableError(f"{self._wire.device} is closed")
            self._wire.begin_transfer()
            return self._wire.transmit(self._exchange(data))

    def close(self) -> None:
        with self._lock:
            self._closed = True
