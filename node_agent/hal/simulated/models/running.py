"""Running chip models: scenario values in, bytes out, and every failure as "no answer"."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.simulated.models.load import ModelClass, failure
from node_agent.hal.simulated.models.time_bound import bounded
from node_agent.hal.simulated.scenario import Curve, Scenario
from node_agent.hal.simulated.wire import Wire

logger = logging.getLogger(__name__)

Values = Mapping[str, float | Curve]


class Spot(NamedTuple):
    """Where a chip is: its name in a scenario's faults, its name in errors, its I2C address."""

    device: str
    place: str
    address: int | None = None


class RunningModel:
    """One chip of an author's class on its wire. Its bus calls it, one call at a time."""

    def __init__(
        self,
        found: ModelClass,
        spot: Spot,
        values: Values,
        scenario: Scenario,
        clock: Callable[[], float],
    ) -> None:
        self._found = found
        self._place = spot.place
        self.address = spot.address
        self._values = values
        self._scenario = scenario
        self._clock = clock
        self._logged: set[str] = set()
        self._chip: Any = None
        self.wire = Wire(spot.device, spot.place, scenario, clock, power_on=self._power_on)

    @property
    def baud(self) -> int:
        return self._found.baud

    def transfer_i2c(self, data: bytes, read_len: int) -> bytes:
        return self._expect_length("transfer", read_len, data, read_len, self._clock())

    def transfer_spi(self, data: bytes) -> bytes:
        return self._expect_length("transfer", len(data), data, self._clock())

    def read_uart(self) -> bytes:
        return self._bytes("read", self._clock())

    def write_uart(self, data: bytes) -> None:
        if hasattr(self._found.make, "write"):
            self._call("write", data, self._clock())

    def _power_on(self) -> None:
        """Forget the chip; the next call makes a new one."""
        self._chip = None

    def _expect_length(self, method: str, length: int, *arguments: object) -> bytes:
        answer = self._bytes(method, *arguments)
        if len(answer) != length:
            raise self._mistake(method, f"found {len(answer)} bytes, expected {length}")
        return answer

    def _bytes(self, method: str, *arguments: object) -> bytes:
        answer = self._call(method, *arguments)
        if not isinstance(answer, bytes | bytearray):
            raise self._mistake(method, f"found {answer!r}, expected bytes")
        return bytes(answer)

    def _call(self, method: str, *arguments: object) -> Any:
        """Call the chip. Raises DeviceUnavailableError, whatever it raises."""
        try:
            with bounded(self._found.file):
                if self._chip is None:
                    self._chip = self._made()
                self._set_values(self._chip)
                return getattr(self._chip, method)(*arguments)
        except OSError as e:
            reason = f": {e}" if str(e) else ""
            raise DeviceUnavailableError(f"no answer at {self._place}{reason}") from e
        except (Exception, SystemExit) as e:
            raise self._broken(failure(self._found.file, e)) from e

    def _made(self) -> Any:
        chip = self._found.make()
        if self.address is not None:
            chip.address = self.address
        return chip

    def _set_values(self, chip: Any) -> None:
        t_s = self.wire.measured_time_s(self._clock())
        for key, value in self._values.items():
            setattr(chip, key, self._scenario.value(value, f"{self.wire.device} {key}", t_s))

    def _mistake(self, method: str, text: str) -> DeviceUnavailableError:
        return self._broken(f"{self._found.file}: {self._found.name}.{method}: {text}")

    def _broken(self, text: str) -> DeviceUnavailableError:
        """Log a mistake of the model once, and return the error for the plugin."""
        # Without the exception's text, which may differ each time.
        key = text.partition(": ")[0]
        if key not in self._logged:
            self._logged.add(key)
            logger.error("%s; the simulated chip at %s does not answer", text, self._place)
        return DeviceUnavailableError(f"no answer at {self._place}: {text}")
