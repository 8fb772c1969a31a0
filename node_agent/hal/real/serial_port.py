"""A real serial port, through pyserial."""

from typing import Any

from node_agent.hal.errors import BadDeviceDataError, DeviceUnavailableError
from node_agent.hal.real import library
from node_agent.hal.real.handle import Handle

REMEDY = (
    "turn the port on with `sudo raspi-config nonint do_serial_hw 0` and join the group dialout"
)

# What a GPS receiver speaks until it is told otherwise.
_BAUD = 9600
# A port whose other side holds it up gives up well within a poll's deadline.
_WRITE_TIMEOUT_S = 0.25


class SerialPort:
    """The port of the device file `path`: 8 bits, no parity, one stop bit, 9600 baud at first."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._baud = _BAUD
        self._handle: Handle[Any] = Handle(path, self._open, lambda port: port.close())

    def read(self, max_len: int) -> bytes:
        with self._handle.use() as port:
            try:
                return bytes(port.read(max_len))
            except OSError as e:
                raise self._lost(e) from e

    def write(self, data: bytes) -> int:
        with self._handle.use() as port:
            try:
                return int(port.write(data) or 0)
            except OSError as e:
                raise self._lost(e) from e

    def set_baud(self, rate: int) -> None:
        with self._handle.use() as port:
            try:
                port.baudrate = rate
            except (ValueError, NotImplementedError) as e:
                raise BadDeviceDataError(f"{self._path}: cannot run at {rate} baud") from e
            except OSError as e:
                raise self._lost(e) from e
            self._baud = rate

    def close(self) -> None:
        self._handle.close()

    def _open(self) -> Any:
        serial = library.load("serial")
        try:
            return serial.Serial(
                self._path,
                baudrate=self._baud,
                timeout=0,
                write_timeout=_WRITE_TIMEOUT_S,
                exclusive=True,
            )
        except OSError as e:
            # pyserial's own error is an OSError without strerror; its message has the path in it.
            raise library.missing_file(self._path, e, REMEDY) from e

    def _lost(self, error: OSError) -> DeviceUnavailableError:
        """Let go of the port, which a USB receiver takes with it: the next use opens it anew."""
        self._handle.drop()
        return DeviceUnavailableError(f"{self._path}: {error}")
