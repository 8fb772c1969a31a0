# Written by `harvester plugins stubs` from wit/plugin.wit.
"""The one-wire sensor, the node's clock and the CPU thermometer."""

def read_dht22(pin: int) -> tuple[float, float]:
    """Temperature in degC and relative humidity in %RH of the DHT22 on a BCM pin. A pin that the
    node's configuration does not grant is an error that begins with "not granted".

    Raises Err with a str.
    """

def get_timestamp_ms() -> int:
    """Unix time in milliseconds, UTC."""

def get_cpu_temp() -> float:
    """CPU temperature in degC; NaN where this machine has no thermometer."""
