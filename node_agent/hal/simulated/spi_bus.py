"""A simulated SPI bus with a wire from its output to its input."""

import threading

from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.simulated.wire import Wire


class SpiLoopback:
    """What is clocked out comes back in."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._lock = threading.Lock()
        self._closed = False

    def transfer(self, data: bytes) -> bytes:
        with self._lock:
            if self._closed:
                raise DeviceUnavailableError(f"{self._wire.device} is closed")
            self._wire.reach()
            return self._wire.carry(data)

    def close(self) -> None:
        with self._lock:
            self._closed = True
