"""Readings of one BME680: the plugin's driver over the node's hardware, with its faults."""

import time
from collections.abc import Callable

from bus.contract.messages import Value
from bus.errors import BadDataError, UnavailableError
from bus.fault import Fault
from node_agent.hal.capabilities import Hardware
from node_agent.hal.errors import BadDeviceDataError
from node_agent.plugins.store import PluginStore
from pizero_native.saved_air import SavedAirQuality
from plugins.bme680.air_settings import AirSettings
from plugins.bme680.driver import (
    QUANTITIES,
    Bme680,
    Bme680Error,
    Heater,
    Measurement,
    out_of_range,
    with_offsets,
)
from plugins.bme680.sea_level import sea_level_hpa

_OHM_PER_KOHM = 1000.0


def id_of(address: str) -> str:
    return f"bme680-{address}"


class AirSensor:
    """The BME680 at `address` ("0x76"). Readings are in degC, %RH, hPa and kOhm.

    `settings` returns the owner's settings for each measurement.
    """

    def __init__(
        self,
        hardware: Hardware,
        address: str,
        store: PluginStore,
        settings: Callable[[], AirSettings] = AirSettings,
    ) -> None:
        self.sensor_id = id_of(address)
        self.fault = Fault(self.sensor_id)
        number = int(address, 16)
        self._chip = Bme680(
            lambda data, read_len: hardware.i2c_transfer(number, data, read_len), time.sleep
        )
        self._missing = {name: Fault(f"{self.sensor_id} {name}") for name in QUANTITIES}
        self._settings = settings
        self._quality = SavedAirQuality(store, self.sensor_id, settings())

    @property
    def faults(self) -> dict[str, str]:
        """The reason of each present fault: the sensor's, else those of single quantities."""
        if self.fault.reason:
            return {self.sensor_id: self.fault.reason}
        missing = {f"{self.sensor_id} {name}": fault for name, fault in self._missing.items()}
        return {name: fault.reason for name, fault in missing.items() if fault.reason}

    def sample(self) -> dict[str, Value] | None:
        """Return one new measurement, or None while the sensor has a fault.

        Raises MisconfiguredError where a person has to change the machine.
        """
        settings = self._settings()
        self._chip.heater = Heater(settings.heater_c, settings.heater_ms)
        self._quality.configure(settings)
        try:
            measurement = self._measure()
        except (UnavailableError, BadDataError) as e:
            self.fault.failed(str(e))
            return None
        self.fault.worked()
        self._report_missing(measurement)
        corrected = with_offsets(
            measurement, settings.temperature_offset_c, settings.humidity_offset_pct
        )
        return self._data(corrected, settings.altitude_m)

    def _measure(self) -> Measurement:
        try:
            measurement = self._chip.measure()
        except Bme680Error as e:
            raise BadDeviceDataError(str(e)) from e
        if reason := out_of_range(measurement):
            raise BadDeviceDataError(reason)
        return measurement

    def _report_missing(self, measurement: Measurement) -> None:
        reasons = dict(measurement.missing)
        for name, fault in self._missing.items():
            if name in reasons:
                fault.failed(reasons[name])
            else:
                fault.worked()

    def _data(self, measurement: Measurement, altitude_m: float) -> dict[str, Value]:
        gas_ohm, humidity_pct = measurement.gas_resistance_ohm, measurement.humidity_pct
        measured = {
            "temperature": measurement.temperature_c,
            "humidity": humidity_pct,
            "pressure": measurement.pressure_hpa,
            "pressure_sea_level": sea_level_hpa(measurement.pressure_hpa, altitude_m),
            "gas_resistance": None if gas_ohm is None else gas_ohm / _OHM_PER_KOHM,
        }
        data: dict[str, Value] = {
            name: round(value, 4) for name, value in measured.items() if value is not None
        }
        if gas_ohm is None or humidity_pct is None:
            return data
        quality = self._quality.update(gas_ohm, humidity_pct)
        data["iaq_accuracy"] = quality.accuracy
        if quality.score is not None:
            data["iaq_score"] = quality.score
        return data
