"""What the sensors of the shipped configuration give in one cycle, for loads and fillings."""

from bus.contract.messages import Value

ROOM: dict[str, Value] = {"temperature": 23.1, "humidity": 43.7}
AIR: dict[str, Value] = {
    "temperature": 23.136702,
    "humidity": 42.393658,
    "pressure": 1013.3813,
    "gas_resistance": 81.62634,
    "iaq_score": 38,
    "iaq_accuracy": 3,
}
HEALTH: dict[str, Value] = {
    "cpu_temp": 48.3,
    "cpu_usage": 12.5,
    "memory_used_mb": 412,
    "memory_total_mb": 3792,
    "uptime_seconds": 123_456,
}
PING: dict[str, Value] = {"host": "192.168.7.10", "up": True, "rtt_ms": 0.182}
