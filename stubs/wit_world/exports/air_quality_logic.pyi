# Written by `harvester plugins stubs` from wit/plugin.wit.
"""What a BME680 gives, with the values that its owner's settings add. Since 1.1.0."""

from dataclasses import dataclass

@dataclass
class AirQualityReading:
    sensor_id: str
    temperature: float
    humidity: float
    pressure: float
    pressure_sea_level: float
    gas_resistance: float
    iaq_score: int
    iaq_accuracy: int
    timestamp_ms: int
