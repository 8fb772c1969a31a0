"""The BME680: reports the air and an index of its quality, shows that on LED 2."""

import math
import time

from colors import COLORS, FAULT
from componentize_py_types import Err
from driver import Bme680, Bme680Error, Measurement, doubt
from faults import FaultLog
from iaq import AirQuality, BadAirAlarm, Quality, band_of
from patience import Patience, TooSlowError
from wit_world import exports
from wit_world.exports.bme680_logic import Bme680Reading
from wit_world.imports import (
    buzzer_controller,
    gpio_provider,
    i2c,
    led_controller,
    plugin_state,
)

# SDO high and low (BST-BME680-DS001 section 6.1).
ADDRESSES = (0x77, 0x76)
CHIP_ID_REGISTER = "d0"
LED = 2
# One beep of 500 ms.
ALARM_MS = 500
BASELINE_KEY = "baseline"
# plugin-state is a file on an SD card: once a minute is plenty.
SAVE_EVERY_S = 60.0


def _log(line: str) -> None:
    if line:
        print(line)


def _granted_address() -> int:
    """Return the first address that this plugin may use, whether or not a chip answers there."""
    for address in ADDRESSES:
        try:
            i2c.transfer(address, CHIP_ID_REGISTER, 1)
        except Err as e:
            if str(e.value).startswith("not granted"):
                continue
        return address
    # The refusal of this one names the grant to add.
    return ADDRESSES[0]


def _show(color: str) -> None:
    led_controller.set_led(LED, *COLORS[color])
    led_controller.sync_leds()


class Bme680Logic(exports.Bme680Logic):
    def __init__(self) -> None:
        self._chip = Bme680(self._transfer, time.sleep)
        self._patience = Patience()
        self._air = AirQuality()
        self._alarm = BadAirAlarm()
        self._begun = False
        self._saved_s = 0.0
        self._told = ""
        self._pulse = False

    def poll(self) -> list[Bme680Reading]:
        now_ms = gpio_provider.get_timestamp_ms()
        if not self._begun:
            self._begin(now_ms)
        try:
            measurement = self._measure()
        except (Bme680Error, TooSlowError, Err) as e:
            reason = str(e.value) if isinstance(e, Err) else str(e)
            _log(self._faults.failed(reason, time.monotonic()))
            _show(FAULT)
            return []
        _log(self._faults.worked(time.monotonic()))
        quality = self._judge(measurement, now_ms)
        if measurement.gas_resistance_ohm is None:
            _show(FAULT)
        else:
            self._show_quality(quality)
        return [_reading(self._sensor_id, measurement, quality, now_ms)]

    def _begin(self, now_ms: int) -> None:
        """Ask the host what can't be asked while the component is built."""
        self._begun = True
        self._address = _granted_address()
        self._sensor_id = f"bme680-0x{self._address:02x}"
        self._faults = FaultLog(self._sensor_id)
        self._gas_faults = FaultLog(f"{self._sensor_id} gas")
        self._restore(now_ms)

    def _measure(self) -> Measurement:
        self._patience.begin(time.monotonic())
        measurement = self._chip.measure()
        reason = doubt(measurement)
        if reason:
            raise Bme680Error(reason)
        return measurement

    def _transfer(self, write: bytes, read_len: int) -> bytes:
        self._patience.check(time.monotonic())
        return bytes.fromhex(i2c.transfer(self._address, write.hex(), read_len))

    def _judge(self, measurement: Measurement, now_ms: int) -> Quality:
        now_s = time.monotonic()
        if measurement.gas_resistance_ohm is None:
            _log(self._gas_faults.failed("not valid, or its heater is not stable", now_s))
            return Quality(None, 0)
        _log(self._gas_faults.worked(now_s))
        quality = self._air.update(measurement.gas_resistance_ohm, measurement.humidity_pct, now_s)
        if quality.accuracy and now_s - self._saved_s >= SAVE_EVERY_S:
            self._saved_s = now_s
            self._save(now_ms)
        return quality

    def _show_quality(self, quality: Quality) -> None:
        if quality.score is None:
            self._tell("air: calibrating")
            self._pulse = not self._pulse
            _show("purple" if self._pulse else "dim purple")
            return
        band = band_of(quality.score)
        self._tell(f"air: {band.name}")
        _show(band.color)
        if self._alarm.due(quality.score):
            buzzer_controller.buzz(ALARM_MS)

    def _tell(self, state: str) -> None:
        if state != self._told:
            self._told = state
            print(state)

    def _restore(self, now_ms: int) -> None:
        saved = plugin_state.get(BASELINE_KEY)
        if saved is None:
            print("baseline: none saved, calibrating")
        elif self._air.restore(saved, now_ms):
            print(f"baseline: restored, accuracy {self._air.accuracy}")
        else:
            print("baseline: saved one is too old or damaged, calibrating")

    def _save(self, now_ms: int) -> None:
        try:
            plugin_state.set(BASELINE_KEY, self._air.export(now_ms))
        except Err as e:
            print(f"baseline: not saved: {e.value}")


def _reading(
    sensor_id: str, measurement: Measurement, quality: Quality, now_ms: int
) -> Bme680Reading:
    gas_ohm = measurement.gas_resistance_ohm
    return Bme680Reading(
        sensor_id=sensor_id,
        temperature=measurement.temperature_c,
        humidity=measurement.humidity_pct,
        pressure=measurement.pressure_hpa,
        gas_resistance=math.nan if gas_ohm is None else gas_ohm / 1000,
        iaq_score=quality.score or 0,
        iaq_accuracy=quality.accuracy,
        timestamp_ms=now_ms,
    )
