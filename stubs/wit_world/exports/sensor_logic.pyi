# Written by `harvester plugins stubs` from wit/plugin.wit.
"""The general form for new sensors."""

from dataclasses import dataclass

@dataclass
class Reading:
    sensor_id: str
    timestamp_ms: int
    values: list[tuple[str, float]]
