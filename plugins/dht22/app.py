"""The DHT22 on GPIO 4: reports the room's climate, shows it on LED 1, beeps when it gets hot."""

import time

from climate import HIGH, NORMAL, doubt, humidity_flag, light, next_state
from colors import COLORS, FAULT
from componentize_py_types import Err
from faults import FaultLog
from wit_world import exports
from wit_world.exports.dht22_logic import Dht22Reading
from wit_world.imports import buzzer_controller, gpio_provider, led_controller

PIN = 4
SENSOR_ID = f"dht22-gpio{PIN}"
LED = 1
# Three beeps of 100 ms, 100 ms apart.
ALARM = (3, 100, 100)


def _show(color: str) -> None:
    led_controller.set_led(LED, *COLORS[color])
    led_controller.sync_leds()


def _measure() -> tuple[float, float]:
    temperature_c, humidity_pct = gpio_provider.read_dht22(PIN)
    reason = doubt(temperature_c, humidity_pct)
    if reason:
        raise Err(reason)
    return temperature_c, humidity_pct


class Dht22Logic(exports.Dht22Logic):
    def __init__(self) -> None:
        self._faults = FaultLog(SENSOR_ID)
        self._state = NORMAL
        self._flag = ""

    def poll(self) -> list[Dht22Reading]:
        try:
            temperature_c, humidity_pct = _measure()
        except Err as e:
            self._log(self._faults.failed(str(e.value), time.monotonic()))
            _show(FAULT)
            return []
        self._log(self._faults.worked(time.monotonic()))
        self._react(temperature_c)
        self._flag_humidity(humidity_pct)
        now_ms = gpio_provider.get_timestamp_ms()
        return [Dht22Reading(SENSOR_ID, temperature_c, humidity_pct, now_ms)]

    def _react(self, temperature_c: float) -> None:
        before, self._state = self._state, next_state(self._state, temperature_c)
        if self._state != before:
            print(f"temperature: {self._state} at {temperature_c:.1f} degC, was {before}")
            if self._state == HIGH:
                buzzer_controller.beep(*ALARM)
        _show(light(self._state, temperature_c))

    def _flag_humidity(self, humidity_pct: float) -> None:
        flag = humidity_flag(humidity_pct)
        if flag != self._flag:
            self._flag = flag
            print(f"humidity: {flag} at {humidity_pct:.1f} %RH")

    @staticmethod
    def _log(line: str) -> None:
        if line:
            print(line)
