"""Hardware capabilities of a node as one protocol, independent of chips and libraries."""

import enum
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from node_agent.hal.gpio import Gpio


class Color(NamedTuple):
    """One pixel, 0 to 255 a channel."""

    red: int
    green: int
    blue: int


BLACK = Color(0, 0, 0)


class Climate(NamedTuple):
    """Air as a DHT22 measures it."""

    temperature_c: float
    humidity_pct: float


class Relay(enum.Enum):
    """The relays a node may have."""

    BUZZER = "buzzer"
    FAN = "fan"


class CpuMeter(Protocol):
    """Load of the CPU, for one user of it."""

    def percent(self) -> float | None:
        """Return the load of all cores since the last call, None where it is not measured."""


class Hardware(Protocol):
    """Every method may be called from any thread.

    All raise DeviceUnavailableError where a device does not answer and HardwareNotInstalledError
    where the node has no such device or library; reads raise BadDeviceDataError where the answer
    cannot be true.
    """

    @property
    def gpio(self) -> Gpio:
        """The digital pins."""

    def read_dht22(self, pin: int) -> Climate:
        """Read the DHT22 on BCM `pin`; asked again within its rest time, repeat the last answer."""

    def i2c_transfer(self, address: int, data: bytes, read_len: int) -> bytes:
        """Write `data`, then read `read_len` bytes with a repeated start. Either may be empty."""

    def spi_transfer(self, data: bytes) -> bytes:
        """Clock `data` out; return as many bytes, clocked in at the same time."""

    def uart_read(self, max_len: int) -> bytes:
        """Return what has arrived, at most `max_len` bytes, without waiting."""

    def uart_write(self, data: bytes) -> int:
        """Send `data`; return how many bytes were taken."""

    def uart_set_baud(self, rate: int) -> None: ...

    def cpu_temperature_c(self) -> float | None:
        """Return the CPU's temperature, None where it is not measured."""

    def cpu_meter(self) -> CpuMeter:
        """Return a meter of its own for each caller."""

    def memory_mb(self) -> tuple[int, int] | None:
        """Return used and total memory in MB, None where it is not measured."""

    def show_pixels(self, pixels: Sequence[Color]) -> None:
        """Put the whole strip on the wire once."""

    def set_relay(self, relay: Relay, *, on: bool) -> None:
        """Close (`on`) or release a relay, whatever level its coil needs for that."""

    def close(self) -> None:
        """Release every relay, bring outputs to their safe levels, darken the strip, let go of all.

        Twice is fine.
        """
