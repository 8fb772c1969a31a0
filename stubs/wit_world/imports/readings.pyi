# Written by `harvester plugins stubs` from wit/plugin.wit.
"""Readings of other sensors, on any node. Since 1.1.0."""

def latest(sensor: str) -> str | None:
    """The newest reading of a sensor such as "pi4:dht22-gpio4", as JSON: `sensor_id`,
    `timestamp_ms` by the clock of its node, `age_ms` and the object `data`. It may be old. None
    where none has come, or the node's configuration does not grant it.
    """
