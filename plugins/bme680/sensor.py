"""One BME680 of the plugin: its driver, its air quality index, and its log lines.

Bus, saved state and clock are passed in, so that it imports nothing of the host.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from air_settings import AirSettings
from bands import BadAirAlarm, Band, band_of
from driver import QUANTITIES, Bme680, Bme680Error, Heater, Measurement, out_of_range, with_offsets
from faults import FaultLog
from iaq import AirQuality, Quality
from sea_level import sea_level_hpa

# The host brings plugin-state to the disk once a minute, so more often is of no use.
SAVE_EVERY_S = 60.0


class BusError(Exception):
    """A transfer failed; the message is the host's."""


class Store(Protocol):
    """Saved state of one sensor. `set` returns what went wrong, or nothing."""

    def get(self) -> str | None: ...

    def set(self, value: str) -> str: ...


@dataclass(frozen=True)
class Sample:
    """One measurement, and what follows from it: the air quality and the sea-level pressure."""

    measurement: Measurement
    quality: Quality
    sea_level_hpa: float | None

    @property
    def is_rated(self) -> bool:
        """Whether gas and humidity were measured, which the air quality follows from."""
        return None not in (self.measurement.gas_resistance_ohm, self.measurement.humidity_pct)


class AirSensor:
    """Sensor at one address. `log` prints a line."""

    def __init__(
        self,
        sensor_id: str,
        transfer: Callable[[bytes, int], bytes],
        store: Store,
        log: Callable[[str], None],
    ) -> None:
        self.sensor_id = sensor_id
        self._chip = Bme680(transfer, time.sleep)
        self._store = store
        self._log = log
        self._air = AirQuality()
        self._alarm = BadAirAlarm()
        self._faults = FaultLog(sensor_id)
        self._missing = {name: FaultLog(f"{sensor_id} {name}") for name in QUANTITIES}
        self.settings = AirSettings()
        self._saved_s = 0.0
        self._logged_state = ""

    def configure(self, settings: AirSettings) -> None:
        """Take the owner's settings, which hold from the next measurement on."""
        self.settings = settings
        self._chip.heater = Heater(settings.heater_c, settings.heater_ms)
        self._log_line(
            self._air.configure(settings.burn_in_s, settings.heater_c, settings.heater_ms)
        )

    def restore(self, now_ms: int) -> None:
        """Continue with the saved baseline."""
        saved = self._store.get()
        if saved is None:
            self._log("baseline: none saved, calibrating")
        elif self._air.restore(saved, now_ms):
            self._log(f"baseline: restored, accuracy {self._air.accuracy}")
        elif self._air.waits_for_clock:
            self._log("baseline: kept until the clock is set, calibrating")
        else:
            self._log("baseline: saved one is too old, damaged or of another heater, calibrating")

    def sample(self, now_ms: int) -> Sample | None:
        """Return one new measurement, or None while the sensor has a fault."""
        try:
            measurement = self._measure()
        except (Bme680Error, BusError) as e:
            self._log_line(self._faults.failed(str(e), time.monotonic()))
            return None
        self._log_line(self._faults.worked(time.monotonic()))
        self._log_missing(measurement)
        sea_level = sea_level_hpa(measurement.pressure_hpa, self.settings.altitude_m)
        return Sample(measurement, self._rate(measurement, now_ms), sea_level)

    def alarm_due(self, score: int) -> bool:
        """Return whether to sound the alarm now, which its owner may have switched off."""
        is_due = self._alarm.due(score, self.settings.poor_to)
        return is_due and self.settings.alarm

    def band_of(self, score: int) -> Band:
        return band_of(score, self.settings.band_limits)

    def log_state(self, quality: Quality) -> None:
        """Log the state of the air where it changed."""
        state = "calibrating" if quality.score is None else self.band_of(quality.score).name
        if state != self._logged_state:
            self._logged_state = state
            self._log(f"air: {state}")

    def _measure(self) -> Measurement:
        measurement = self._chip.measure()
        if reason := out_of_range(measurement):
            raise Bme680Error(reason)
        settings = self.settings
        return with_offsets(
            measurement, settings.temperature_offset_c, settings.humidity_offset_pct
        )

    def _log_missing(self, measurement: Measurement) -> None:
        reasons = dict(measurement.missing)
        for name, faults in self._missing.items():
            now_s = time.monotonic()
            reason = reasons.get(name)
            self._log_line(faults.failed(reason, now_s) if reason else faults.worked(now_s))

    def _rate(self, measurement: Measurement, now_ms: int) -> Quality:
        now_s = time.monotonic()
        self._log_line(self._air.follow_clock(now_ms, now_s))
        gas_ohm, humidity_pct = measurement.gas_resistance_ohm, measurement.humidity_pct
        if gas_ohm is None or humidity_pct is None:
            return Quality(None, 0)
        quality = self._air.update(gas_ohm, humidity_pct, now_s)
        is_due = now_s - self._saved_s >= SAVE_EVERY_S
        if quality.accuracy and is_due and not self._air.waits_for_clock:
            self._saved_s = now_s
            self._save(now_ms)
        return quality

    def _save(self, now_ms: int) -> None:
        if problem := self._store.set(self._air.export(now_ms)):
            self._log(f"baseline: not saved: {problem}")

    def _log_line(self, line: str) -> None:
        if line:
            self._log(line)
