"""DHT22 access by the datasheet's rules: rest time, retry and range check.

Within the rest time a read returns the last answer. A failed read is retried once. An answer that
is no measurement is an error. `read_wire` is passed in, real or simulated.
"""

import threading
import time
from collections.abc import Callable, Sequence

from bus.errors import HarvesterError
from node_agent.hal.capabilities import Climate
from node_agent.hal.errors import (
    BadDeviceDataError,
    DeviceUnavailableError,
    HardwareNotInstalledError,
)

# Datasheet (Aosong AM2302) section 7: at least 2 s between reads.
REST_S = 2.0
# A caller with a cycle of 2 s is a little early at times: then wait rather than repeat.
EARLY_S = 0.1
# One read of the wire takes 0.35 s, so a second one that begins by then ends within 0.8 s: in time
# for a poll that must be over after 1 s.
RETRY_UNTIL_S = 0.4
ATTEMPTS = 2
# Datasheet section 3, operating range; the limits belong to it.
TEMPERATURE_RANGE_C = (-40.0, 80.0)
HUMIDITY_RANGE_PCT = (0.0, 100.0)
# Forty zero bits have the right checksum: a data line that is held low.
_ALL_ZERO = Climate(0.0, 0.0)
_TRANSIENT = (DeviceUnavailableError, BadDeviceDataError)


class Dht22Sensors:
    """The sensors on `pins`. `read_wire(pin)` makes one attempt.

    It may raise DeviceUnavailableError and BadDeviceDataError, which are tried again, and
    HardwareNotInstalledError, which is not. `release` lets go of what reads the wire.
    """

    def __init__(
        self,
        pins: Sequence[int],
        read_wire: Callable[[int], Climate],
        *,
        release: Callable[[], object] = lambda: None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        # A poll that reads several sensors must end in time, so each has one attempt.
        attempts = ATTEMPTS if len(pins) < 2 else 1
        self._sensors = {pin: _Sensor(pin, read_wire, now, sleep, attempts) for pin in pins}
        self._release = release

    def read(self, pin: int) -> Climate:
        sensor = self._sensors.get(pin)
        if sensor is None:
            raise HardwareNotInstalledError(
                f"no DHT22 at gpio{pin}: sensors.dht22_pins is {list(self._sensors)}"
            )
        return sensor.read()

    def close(self) -> None:
        for sensor in self._sensors.values():
            sensor.close()
        self._release()


class _Sensor:
    """One sensor with its last answer and the time of asking."""

    def __init__(
        self,
        pin: int,
        read_wire: Callable[[int], Climate],
        now: Callable[[], float],
        sleep: Callable[[float], object],
        attempts: int,
    ) -> None:
        self._attempts = attempts
        self._pin = pin
        self._read_wire = read_wire
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._asked_s: float | None = None
        self._answer: Climate | HarvesterError = DeviceUnavailableError("never asked")
        self._closed = False

    def read(self) -> Climate:
        with self._lock:
            if self._closed:
                raise DeviceUnavailableError(f"the DHT22 at gpio{self._pin} is closed")
            rest_s = 0.0 if self._asked_s is None else self._asked_s + REST_S - self._now()
            if rest_s <= EARLY_S:
                self._sleep(max(0.0, rest_s))
                self._asked_s = self._now()
                self._answer = self._ask(self._asked_s + RETRY_UNTIL_S)
            return _returned(self._answer)

    def close(self) -> None:
        with self._lock:
            self._closed = True

    def _ask(self, retry_until_s: float) -> Climate | HarvesterError:
        answer = self._attempt()
        for _ in range(self._attempts - 1):
            if isinstance(answer, _TRANSIENT) and self._now() <= retry_until_s:
                answer = self._attempt()
        return answer

    def _attempt(self) -> Climate | HarvesterError:
        try:
            return self._checked(self._read_wire(self._pin))
        except HarvesterError as e:
            return e

    def _checked(self, climate: Climate) -> Climate:
        if climate == _ALL_ZERO:
            raise BadDeviceDataError(
                f"the DHT22 at gpio{self._pin}: all bits are 0: is the data line held low?"
            )
        for value, (low, high), unit in (
            (climate.temperature_c, TEMPERATURE_RANGE_C, "degC"),
            (climate.humidity_pct, HUMIDITY_RANGE_PCT, "%RH"),
        ):
            if not low <= value <= high:
                raise BadDeviceDataError(
                    f"the DHT22 at gpio{self._pin} answered {value} {unit}, "
                    f"expected {low:g} to {high:g}"
                )
        # The sensor's sign bit makes -0.0 of 0x8000.
        return Climate(climate.temperature_c + 0.0, climate.humidity_pct)


def _returned(answer: Climate | HarvesterError) -> Climate:
    """Return or raise an answer; an error is made anew, as each raise adds to its traceback."""
    if isinstance(answer, HarvesterError):
        raise type(answer)(*answer.args) from answer
    return answer
