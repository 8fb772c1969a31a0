"""GPS plugin: position, altitude, speed and satellites from a receiver on the serial port."""

import time

from componentize_py_types import Err
from nmea import Receiver
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import gpio_provider, uart

SENSOR_ID = "gps"
# As much as the kernel keeps: four seconds at 9600 baud.
MAX_BYTES = 4096
# A receiver sends once a second.
SILENT_AFTER_S = 5.0


class SensorLogic(exports.SensorLogic):
    def __init__(self) -> None:
        self._receiver = Receiver()
        self._received_s = time.monotonic()

    def poll(self) -> list[Reading]:
        # The port's own errors are an Err already, and pass through.
        fix = self._receiver.feed(uart.read(MAX_BYTES))
        now_s = time.monotonic()
        if fix is not None:
            self._received_s = now_s
            values = fix.values()
            if not values:
                raise Err(f"{SENSOR_ID}: the receiver tells no position and no satellites yet")
            return [Reading(SENSOR_ID, gpio_provider.get_timestamp_ms(), values)]
        if now_s - self._received_s > SILENT_AFTER_S:
            raise Err(f"{SENSOR_ID}: no whole GGA and RMC in {SILENT_AFTER_S:.0f} s")
        return []
