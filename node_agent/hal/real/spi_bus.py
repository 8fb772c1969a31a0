"""A real SPI bus, through the kernel's spidev."""

from typing import Any

from node_agent.hal.errors import BadDeviceDataError, DeviceUnavailableError
from node_agent.hal.real import library
from node_agent.hal.real.handle import Handle

REMEDY = "turn SPI on with `sudo raspi-config nonint do_spi 0` and join the group spi"

# Slow enough for a breadboard, and for every sensor that we know.
_SPEED_HZ = 1_000_000
_MODE = 0
# The kernel's buffer (spidev module parameter bufsiz).
_MAX_BYTES = 4096


class SpiBus:
    """`device` is bus and chip select, as in "0.0"; mode 0, 1 MHz."""

    def __init__(self, device: str) -> None:
        self._bus, self._select = (int(part) for part in device.split("."))
        self._name = f"spi {device}"
        self._handle: Handle[Any] = Handle(self._name, self._open, lambda spi: spi.close())

    def transfer(self, data: bytes) -> bytes:
        if len(data) > _MAX_BYTES:
            raise BadDeviceDataError(
                f"{self._name}: found {len(data)} bytes, expected at most {_MAX_BYTES}"
            )
        with self._handle.use() as spi:
            try:
                return bytes(spi.xfer2(list(data))) if data else b""
            except OSError as e:
                raise DeviceUnavailableError(f"{self._name}: {e.strerror or e}") from e

    def close(self) -> None:
        self._handle.close()

    def _open(self) -> Any:
        spi = library.load("spidev").SpiDev()
        try:
            spi.open(self._bus, self._select)
            spi.max_speed_hz = _SPEED_HZ
            spi.mode = _MODE
        except OSError as e:
            spi.close()
            raise library.missing_file(f"/dev/spidev{self._bus}.{self._select}", e, REMEDY) from e
        return spi
