"""Device protocols, one for each part of a board, and the board that joins them.

Real and simulated devices both follow these. Methods may be called from any thread, and raise the
errors that `Hardware` names.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Protocol

from node_agent.hal import system
from node_agent.hal.capabilities import Climate, Color, CpuMeter, Relay
from node_agent.hal.errors import HardwareNotInstalledError
from node_agent.hal.gpio import Gpio


class Closeable(Protocol):
    def close(self) -> None: ...


class ClimateSensors(Closeable, Protocol):
    def read(self, pin: int) -> Climate: ...


class I2c(Closeable, Protocol):
    def transfer(self, address: int, data: bytes, read_len: int) -> bytes: ...


class Spi(Closeable, Protocol):
    def transfer(self, data: bytes) -> bytes: ...


class Uart(Closeable, Protocol):
    def read(self, max_len: int) -> bytes: ...

    def write(self, data: bytes) -> int: ...

    def set_baud(self, rate: int) -> None: ...


class Strip(Closeable, Protocol):
    def show(self, pixels: Sequence[Color]) -> None: ...


class Pins(Closeable, Gpio, Protocol):
    """The digital pins. `close` brings every output to its safe level."""


class Switch(Closeable, Protocol):
    """One relay. `close` lets go of its coil, as every message of this layer uses the word."""

    def set(self, *, on: bool) -> None: ...


class Board:
    """Implementation of `Hardware`, joined from its parts."""

    def __init__(  # noqa: PLR0913 - one a part
        self,
        *,
        i2c: I2c,
        dht22: ClimateSensors,
        spi: Spi,
        uart: Uart,
        strip: Strip | None,
        relays: Mapping[Relay, Switch],
        gpio: Pins,
        others: Sequence[Closeable] = (),
        cpu_temperature_c: Callable[[], float | None] = system.cpu_temperature_c,
    ) -> None:
        """Join the parts; `strip` is None and a relay is missing where the node has none.

        `others` are closed after all parts, which may use them.
        """
        self._i2c = i2c
        self._dht22 = dht22
        self._spi = spi
        self._uart = uart
        self._strip = strip
        self._relays = dict(relays)
        self._gpio = gpio
        self._cpu_temperature_c = cpu_temperature_c
        self._closing = threading.Lock()
        # Closed from the last to the first: relays go before anything that could be slow or fail.
        self._open = ExitStack()
        for part in (*others, uart, spi, dht22, i2c, strip, gpio, *self._relays.values()):
            if part is not None:
                self._open.callback(part.close)

    @property
    def gpio(self) -> Gpio:
        return self._gpio

    def read_dht22(self, pin: int) -> Climate:
        return self._dht22.read(pin)

    def i2c_transfer(self, address: int, data: bytes, read_len: int) -> bytes:
        return self._i2c.transfer(address, data, read_len)

    def spi_transfer(self, data: bytes) -> bytes:
        return self._spi.transfer(data)

    def uart_read(self, max_len: int) -> bytes:
        return self._uart.read(max_len)

    def uart_write(self, data: bytes) -> int:
        return self._uart.write(data)

    def uart_set_baud(self, rate: int) -> None:
        self._uart.set_baud(rate)

    def cpu_temperature_c(self) -> float | None:
        return self._cpu_temperature_c()

    def cpu_meter(self) -> CpuMeter:
        return system.CpuUsage()

    def memory_mb(self) -> tuple[int, int] | None:
        return system.memory_mb()

    def show_pixels(self, pixels: Sequence[Color]) -> None:
        if self._strip is None:
            raise HardwareNotInstalledError(
                "this node has no LED strip: leds.count is 0 in its configuration"
            )
        self._strip.show(pixels)

    def set_relay(self, relay: Relay, *, on: bool) -> None:
        switch = self._relays.get(relay)
        if switch is None:
            raise HardwareNotInstalledError(
                f"this node has no {relay.value}: its configuration has no [{relay.value}] table"
            )
        switch.set(on=on)

    def close(self) -> None:
        """Close every part, even where one of them fails; the last failure is raised at the end."""
        with self._closing:
            self._open.close()
