"""One BME680 as readings: the plugin's own driver over the node's hardware, its faults noted."""

import time

from bus.contract.messages import Value
from bus.errors import BadDataError, UnavailableError
from bus.fault import Fault
from node_agent.hal.capabilities import Hardware
from node_agent.hal.errors import BadDeviceDataError
from node_agent.plugins.store import PluginStore
from pizero_native.saved_air import SavedAirQuality
from plugins.bme680.driver import Bme680, Bme680Error, Measurement, doubt

_OHM_PER_KOHM = 1000.0


class AirSensor:
    """The BME680 at `address` ("0x76"). Readings are in degC, %RH, hPa and kOhm."""

    def __init__(self, hardware: Hardware, address: str, store: PluginStore) -> None:
        self.sensor_id = f"bme680-{address}"
        self.fault = Fault(self.sensor_id)
        number = int(address, 16)
        self._chip = Bme680(
            lambda data, read_len: hardware.i2c_transfer(number, data, read_len), time.sleep
        )
        self._quality = SavedAirQuality(store, self.sensor_id)

    def sample(self) -> dict[str, Value] | None:
        """Return one new measurement, or None while the sensor has a fault.

        Raises MisconfiguredError where a person has to change the machine.
        """
        try:
            measurement = self._measure()
        except (UnavailableError, BadDataError) as e:
            self.fault.failed(str(e))
            return None
        self.fault.worked()
        return self._data(measurement)

    def close(self) -> None:
        """Keep what has been learnt about the air."""
        self._quality.save()

    def _measure(self) -> Measurement:
        try:
            measurement = self._chip.measure()
        except Bme680Error as e:
            raise BadDeviceDataError(str(e)) from e
        if reason := doubt(measurement):
            raise BadDeviceDataError(reason)
        return measurement

    def _data(self, measurement: Measurement) -> dict[str, Value]:
        data: dict[str, Value] = {
            "temperature": round(measurement.temperature_c, 4),
            "humidity": round(measurement.humidity_pct, 4),
            "pressure": round(measurement.pressure_hpa, 4),
        }
        gas_ohm = measurement.gas_resistance_ohm
        if gas_ohm is None:
            return data
        quality = self._quality.update(gas_ohm, measurement.humidity_pct)
        data["gas_resistance"] = round(gas_ohm / _OHM_PER_KOHM, 4)
        data["iaq_accuracy"] = quality.accuracy
        if quality.score is not None:
            data["iaq_score"] = quality.score
        return data
