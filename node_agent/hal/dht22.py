"""DHT22 sensors as their datasheet wants to be treated, real or simulated.

A read that was made is repeated to whoever asks within the rest time; one that failed is tried once
more; an answer outside the sensor's range is not believed. How the wire is read comes in from
outside.
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
# Whoever asks every 2 s comes a little early at times: then it is better to wait than to repeat.
PATIENCE_S = 0.1
# One read of the wire takes 0.35 s, so a second one that begins by then ends within 0.8 s: in time
# for a poll that must be over after 1 s.
RETRY_UNTIL_S = 0.4
ATTEMPTS = 2
# Datasheet section 3, operating range.
TEMPERATURE_RANGE_C = (-40.0, 80.0)
HUMIDITY_RANGE_PCT = (0.0, 100.0)
_TRANSIENT = (DeviceUnavailableError, BadDeviceDataError)


class Dht22Sensors:
    """The sensors on `pins`. `read_wire(pin)` makes one attempt.

    It may raise DeviceUnavailableError and BadDeviceDataError, which are tried again, and
    HardwareNotInstalledError, which is not.
    """

    def __init__(
        self,
        pins: Sequence[int],
        read_wire: Callable[[int], Climate],
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._sensors = {pin: _Sensor(pin, read_wire, now, sleep) for pin in pins}

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


class _Sensor:
    """One sensor, its last answer and when that was asked for."""

    def __init__(
        self,
        pin: int,
        read_wire: Callable[[int], Climate],
        now: Callable[[], float],
        sleep: Callable[[float], object],
    ) -> None:
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
            if rest_s <= PATIENCE_S:
                self._sleep(max(0.0, rest_s))
                self._asked_s = self._now()
                self._answer = self._ask(self._asked_s + RETRY_UNTIL_S)
            return _told(self._answer)

    def close(self) -> None:
        with self._lock:
            self._closed = True

    def _ask(self, retry_until_s: float) -> Climate | HarvesterError:
        answer = self._attempt()
        for _ in range(ATTEMPTS - 1):
            if isinstance(answer, _TRANSIENT) and self._now() <= retry_until_s:
                answer = self._attempt()
        return answer

    def _attempt(self) -> Climate | HarvesterError:
        try:
            return self._believed(self._read_wire(self._pin))
        except HarvesterError as e:
            return e

    def _believed(self, climate: Climate) -> Climate:
        for value, (low, high), unit in (
            (climate.temperature_c, TEMPERATURE_RANGE_C, "degC"),
            (climate.humidity_pct, HUMIDITY_RANGE_PCT, "%RH"),
        ):
            if not low <= value <= high:
                raise BadDeviceDataError(
                    f"the DHT22 at gpio{self._pin} answered {value} {unit}, "
                    f"expected {low:g} to {high:g}"
                )
        return climate


def _told(answer: Climate | HarvesterError) -> Climate:
    """Return or raise an answer; an error is made anew, as each raise adds to its traceback."""
    if isinstance(answer, HarvesterError):
        raise type(answer)(*answer.args) from answer
    return answer
