"""GPS plugin: position, altitude, speed and satellites from a receiver on the serial port."""

import json
import time

from componentize_py_types import Err
from nmea import Receiver
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import gpio_provider, settings, uart

SENSOR_ID = "gps"
# As much as the kernel keeps: four seconds at 9600 baud.
MAX_BYTES = 4096


class SensorLogic(exports.SensorLogic):
    def __init__(self) -> None:
        self._receiver = Receiver()
        self._received_s = time.monotonic()
        # The port keeps the rate that a former instance set, so it is set once in any case.
        self._baud = 0

    def poll(self) -> list[Reading]:
        # The port's own errors are an Err already, and pass through.
        self._set_baud(int(_setting("baud", "9600")))
        fix = self._receiver.feed(uart.read(MAX_BYTES))
        now_s = time.monotonic()
        if fix is not None:
            self._received_s = now_s
            values = fix.values()
            if not values:
                raise Err(f"{SENSOR_ID}: the receiver tells no position and no satellites yet")
            return [Reading(SENSOR_ID, gpio_provider.get_timestamp_ms(), values)]
        silent_s = float(_setting("silent_s", 5))
        if now_s - self._received_s > silent_s:
            raise Err(f"{SENSOR_ID}: no whole GGA and RMC in {silent_s:g} s at {self._baud} baud")
        return []

    def _set_baud(self, baud: int) -> None:
        if baud != self._baud:
            uart.set_baud(baud)
            self._baud = baud
            self._receiver = Receiver()
            self._received_s = time.monotonic()


def _setting(key: str, default: str | float) -> str | float:
    text = settings.get(key)
    value: str | float = default if text is None else json.loads(text)
    return value
