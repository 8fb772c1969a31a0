"""Simulated serial port: what its device sends waits in the kernel's buffer until it is read."""

import threading

from node_agent.hal.errors import BadDeviceDataError, DeviceUnavailableError
from node_agent.hal.simulated.models.running import RunningModel

DEFAULT_BAUD = 9600
BAUD_RATES = (4800, 9600, 19200, 38400, 57600, 115200)
# Buffer of the kernel for an unread port (N_TTY_BUF_SIZE).
_BUFFER_BYTES = 4096


class SimulatedUart:
    """The port, with `device` on it; without one it is silent, and what is written is lost."""

    def __init__(self, device: RunningModel | None = None) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._arrived = bytearray()
        self._baud = DEFAULT_BAUD
        self._closed = False

    def read(self, max_len: int) -> bytes:
        with self._lock:
            self._check_open()
            return b"" if self._device is None else self._received(self._device, max_len)

    def write(self, data: bytes) -> int:
        with self._lock:
            self._check_open()
            if self._device is not None:
                self._device.wire.begin_transfer()
                self._device.write_uart(data)
            return len(data)

    def set_baud(self, rate: int) -> None:
        with self._lock:
            self._check_open()
            if rate not in BAUD_RATES:
                raise BadDeviceDataError(f"found {rate} baud, expected one of {BAUD_RATES}")
            self._baud = rate

    def close(self) -> None:
        with self._lock:
            self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceUnavailableError("the serial port is closed")

    def _received(self, device: RunningModel, max_len: int) -> bytes:
        """Return the first bytes of the buffer, whose oldest fall out where it is full."""
        device.wire.begin_transfer()
        self._arrived += _garbled(device.read_uart(), is_right=self._baud == device.baud)
        del self._arrived[:-_BUFFER_BYTES]
        taken = bytes(self._arrived[:max_len])
        del self._arrived[:max_len]
        return device.wire.transmit(taken)


def _garbled(sent: bytes, *, is_right: bool) -> bytes:
    """Return what arrives; at another rate than the sender's, bits are sampled at wrong times."""
    return sent if is_right else bytes(byte & 0x55 | 0x80 for byte in sent)
