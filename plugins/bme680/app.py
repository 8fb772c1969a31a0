"""BME680 plugin: reports temperature, humidity, pressure, gas and air quality; LED, buzzer.

It reads a sensor at each address that is granted, each with settings of its own. An LED shows the
worst of the sensors that share it.
"""

import math
import time
from dataclasses import asdict
from functools import partial

from air_settings import AirSettings
from bands import BANDS
from colors import FAULT
from componentize_py_types import Err
from poll_deadline import DeadlineExceededError, PollDeadline
from sensor import AirSensor, BusError, Sample
from setting import values
from status_leds import StatusLeds
from wit_world import exports
from wit_world.exports.air_quality_logic import AirQualityReading
from wit_world.imports import (
    buzzer_controller,
    gpio_provider,
    i2c,
    plugin_state,
    settings,
)

# SDO high and low (BST-BME680-DS001 section 6.1).
ADDRESSES = (0x77, 0x76)
CHIP_ID_REGISTER = "d0"
NOT_GRANTED = "not granted"
# One beep of 500 ms.
ALARM_MS = 500
BASELINE_KEY = "baseline"
# The contract's u16 for what was not measured.
NO_SCORE = 0xFFFF
# Of several sensors, none may begin its part of the poll later than this: the last one's transfers
# then end after 0.85 s, before the host cuts the poll off.
LAST_BEGIN_S = 0.25


def _granted_addresses() -> list[int]:
    """Return the addresses that this plugin may use, whether or not a chip answers there."""
    granted = [address for address in ADDRESSES if not _refusal(address).startswith(NOT_GRANTED)]
    # The fault of the first one names the grant to add.
    return granted or [ADDRESSES[0]]


def _refusal(address: int) -> str:
    try:
        i2c.transfer(address, CHIP_ID_REGISTER, 1)
    except Err as e:
        return str(e.value)
    return ""


class _Baseline:
    """Saved baseline of one sensor in plugin-state."""

    def __init__(self, key: str) -> None:
        self._key = key

    def get(self) -> str | None:
        return plugin_state.get(self._key)

    def set(self, value: str) -> str:
        try:
            plugin_state.set(self._key, value)
        except Err as e:
            return str(e.value)
        return ""


class AirQualityLogic(exports.AirQualityLogic):
    def __init__(self) -> None:
        self._deadline = PollDeadline()
        self._sensors: list[AirSensor] = []
        self._polls = 0
        self._leds = StatusLeds()

    def poll(self) -> list[AirQualityReading]:
        now_ms = gpio_provider.get_timestamp_ms()
        # The host can't be asked while the component is built.
        if not self._sensors:
            self._sensors = self._open(now_ms)
        for sensor in self._sensors:
            _configure(sensor)
        self._polls += 1
        samples = self._sample_all(now_ms)
        self._react(samples)
        return [
            _reading(sensor.sensor_id, sample, now_ms)
            for sensor in self._sensors
            if (sample := samples[sensor]) is not None
        ]

    def _open(self, now_ms: int) -> list[AirSensor]:
        addresses = _granted_addresses()
        sensors = [self._sensor(address, alone=len(addresses) == 1) for address in addresses]
        for sensor in sensors:
            # A saved baseline belongs to a set point of the heater.
            _configure(sensor)
            sensor.restore(now_ms)
        return sensors

    def _sensor(self, address: int, *, alone: bool) -> AirSensor:
        sensor_id = f"bme680-0x{address:02x}"
        baseline = _Baseline(BASELINE_KEY if alone else f"{BASELINE_KEY}-0x{address:02x}")
        log = print if alone else partial(_print_prefixed, sensor_id)
        return AirSensor(sensor_id, partial(self._transfer, address), baseline, log)

    def _transfer(self, address: int, write: bytes, read_len: int) -> bytes:
        try:
            self._deadline.check(time.monotonic())
            return bytes.fromhex(i2c.transfer(address, write.hex(), read_len))
        except DeadlineExceededError as e:
            raise BusError(str(e)) from e
        except Err as e:
            raise BusError(str(e.value)) from e

    def _sample_all(self, now_ms: int) -> dict[AirSensor, Sample | None]:
        """Sample every sensor; another one begins each time, so that a slow one delays in turn."""
        began_s = time.monotonic()
        first = self._polls % len(self._sensors)
        samples = {}
        for sensor in (*self._sensors[first:], *self._sensors[:first]):
            self._deadline.begin(min(time.monotonic(), began_s + LAST_BEGIN_S))
            samples[sensor] = sensor.sample(now_ms)
        return samples

    def _react(self, samples: dict[AirSensor, Sample | None]) -> None:
        """Log, sound the alarm and light the LEDs as the samples ask for."""
        colors: dict[int, list[str]] = {}
        for sensor, sample in samples.items():
            colors.setdefault(sensor.settings.led, []).append(self._color(sensor, sample))
            if sample is not None and sample.is_rated:
                _report(sensor, sample)
        self._leds.show({led: max(of, key=_URGENCY.index) for led, of in colors.items()})

    def _color(self, sensor: AirSensor, sample: Sample | None) -> str:
        if sample is None or sample.measurement.missing:
            return FAULT
        score = sample.quality.score
        if score is None:
            return _BURNING_IN[self._polls % 2]
        return sensor.band_of(score).color


# From the least to the most urgent: a sensor in burn-in does not hide another one's air.
_BURNING_IN = ("dim purple", "purple")
_URGENCY = [*_BURNING_IN, *(band.color for band in BANDS), FAULT]


def _configure(sensor: AirSensor) -> None:
    get = partial(settings.get_for, sensor.sensor_id)
    sensor.configure(AirSettings(**values(get, asdict(AirSettings()))))


def _report(sensor: AirSensor, sample: Sample) -> None:
    sensor.log_state(sample.quality)
    score = sample.quality.score
    if score is not None and sensor.alarm_due(score):
        buzzer_controller.buzz(ALARM_MS)


def _print_prefixed(sensor_id: str, line: str) -> None:
    print(line if sensor_id in line else f"{sensor_id}: {line}")


def _reading(sensor_id: str, sample: Sample, now_ms: int) -> AirQualityReading:
    measurement, quality = sample.measurement, sample.quality
    gas_ohm = measurement.gas_resistance_ohm
    return AirQualityReading(
        sensor_id=sensor_id,
        temperature=_f32(measurement.temperature_c),
        humidity=_f32(measurement.humidity_pct),
        pressure=_f32(measurement.pressure_hpa),
        pressure_sea_level=_f32(sample.sea_level_hpa),
        gas_resistance=_f32(None if gas_ohm is None else gas_ohm / 1000),
        iaq_score=NO_SCORE if quality.score is None else quality.score,
        iaq_accuracy=quality.accuracy,
        timestamp_ms=now_ms,
    )


def _f32(value: float | None) -> float:
    """Return the contract's number: NaN for what was not measured."""
    return math.nan if value is None else value
