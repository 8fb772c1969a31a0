"""DHT22 plugin: reports temperature and humidity of each granted pin; LED, buzzer when hot.

Each sensor has limits, alarm and LED of its own where the owner chose them.
"""

import time
from collections import defaultdict
from dataclasses import asdict
from functools import partial

from climate import (
    DEFAULTS,
    HIGH,
    NORMAL,
    Limits,
    humidity_flag,
    invalid_answer,
    light,
    most_urgent,
    next_state,
)
from colors import FAULT
from componentize_py_types import Err
from faults import FaultLog
from setting import integer, numbers, switch
from status_leds import StatusLeds
from wit_world import exports
from wit_world.exports.dht22_logic import Dht22Reading
from wit_world.imports import buzzer_controller, gpio_provider, settings

# BCM pins of the 40-pin header; the default wiring first, since its refusal is the one reported
# where no pin is granted.
PINS = (4, *(pin for pin in range(28) if pin != 4))
NOT_GRANTED = "not granted"
# Of every sensor whose settings name no other; it shows the most urgent colour.
LED = 1
# Three beeps of 100 ms, 100 ms apart.
ALARM = (3, 100, 100)
# One read takes 0.35 s and a poll may take 1 s, so no read begins later than this in a poll. With
# three sensors or more, some are read in every second poll only.
LAST_BEGIN_S = 0.6


class _NotGrantedError(Exception):
    """The configuration does not grant this pin; the message is the host's."""


class _Room:
    """One sensor with its fault, temperature state, humidity flag and LED colour."""

    def __init__(self, pin: int) -> None:
        self.sensor_id = f"dht22-gpio{pin}"
        self.color = "green"
        self.led = LED
        self._limits = DEFAULTS
        self._sounds_alarm = True
        self._pin = pin
        self._faults = FaultLog(self.sensor_id)
        self._state = NORMAL
        self._flag = ""

    def follow_settings(self) -> None:
        get = partial(settings.get_for, self.sensor_id)
        self._limits = Limits(**numbers(get, asdict(DEFAULTS)))
        self._sounds_alarm = switch(get, "alarm", default=True)
        self.led = integer(get, "led", LED)

    def read(self) -> tuple[float, float] | str:
        """Return temperature and humidity, or the reason of a fault."""
        try:
            answer = gpio_provider.read_dht22(self._pin)
        except Err as e:
            reason = str(e.value)
            if reason.startswith(NOT_GRANTED):
                raise _NotGrantedError(reason) from e
            return reason
        return invalid_answer(*answer) or answer

    def fail(self, reason: str) -> None:
        self.color = FAULT
        _log(self._faults.failed(reason, time.monotonic()))

    def follow(self, temperature_c: float, humidity_pct: float, prefix: str) -> Dht22Reading:
        """Update the states and return the reading; `prefix` starts each log line."""
        _log(self._faults.worked(time.monotonic()))
        self._follow_temperature(temperature_c, prefix)
        self._follow_humidity(humidity_pct, prefix)
        now_ms = gpio_provider.get_timestamp_ms()
        return Dht22Reading(self.sensor_id, temperature_c, humidity_pct, now_ms)

    def _follow_temperature(self, temperature_c: float, prefix: str) -> None:
        before, self._state = self._state, next_state(self._state, temperature_c, self._limits)
        if self._state != before:
            print(f"{prefix}temperature: {self._state} at {temperature_c:.1f} degC, was {before}")
            if self._state == HIGH and self._sounds_alarm:
                buzzer_controller.beep(*ALARM)
        self.color = light(self._state, temperature_c, self._limits)

    def _follow_humidity(self, humidity_pct: float, prefix: str) -> None:
        flag = humidity_flag(humidity_pct, self._limits)
        if flag != self._flag:
            self._flag = flag
            print(f"{prefix}humidity: {flag} at {humidity_pct:.1f} %RH")


class Dht22Logic(exports.Dht22Logic):
    def __init__(self) -> None:
        # In the order in which they are read next. Pins that turn out not to be granted go.
        self._rooms = [_Room(pin) for pin in PINS]
        self._leds = StatusLeds()

    def poll(self) -> list[Dht22Reading]:
        answers = self._read_rooms()
        for room in self._rooms:
            room.follow_settings()
        prefixes = len(self._rooms) > 1
        readings = []
        for room, answer in answers:
            if isinstance(answer, str):
                room.fail(answer)
            else:
                prefix = f"{room.sensor_id}: " if prefixes else ""
                readings.append(room.follow(*answer, prefix))
        self._show()
        return readings

    def _show(self) -> None:
        colors: defaultdict[int, list[str]] = defaultdict(list)
        for room in self._rooms:
            colors[room.led].append(room.color)
        self._leds.show({led: most_urgent(shown) for led, shown in colors.items()})

    def _read_rooms(self) -> list[tuple[_Room, tuple[float, float] | str]]:
        began_s = time.monotonic()
        waiting, answers = self._rooms, []
        refusals = []
        while waiting and time.monotonic() - began_s <= LAST_BEGIN_S:
            room, *waiting = waiting
            try:
                answers.append((room, room.read()))
            except _NotGrantedError as e:
                refusals.append((room, str(e)))
        if not (answers or waiting):
            answers = refusals[:1]
        self._rooms = waiting + [room for room, _ in answers]
        return answers


def _log(line: str) -> None:
    if line:
        print(line)
