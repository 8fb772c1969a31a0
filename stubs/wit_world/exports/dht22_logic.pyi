# Written by `harvester plugins stubs` from wit/plugin.wit.

from dataclasses import dataclass

@dataclass
class Dht22Reading:
    sensor_id: str
    temperature: float
    humidity: float
    timestamp_ms: int
