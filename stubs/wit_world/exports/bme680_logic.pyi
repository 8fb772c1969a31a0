# Written by `harvester plugins stubs` from wit/plugin.wit.

from dataclasses import dataclass

@dataclass
class Bme680Reading:
    sensor_id: str
    temperature: float
    humidity: float
    pressure: float
    gas_resistance: float
    iaq_score: int
    iaq_accuracy: int
    timestamp_ms: int
