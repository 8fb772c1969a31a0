"""Descriptions of the sensors of the shipped configuration, for pages and metrics."""

from bus.contract.description import Band, FieldDescription, SensorDescription

_TEMPERATURE = FieldDescription("Temperature", "\u00b0C", "temperature", 1)
_HUMIDITY = FieldDescription("Humidity", "%RH", "humidity", 1, bar=100)
ROOM = {"temperature": _TEMPERATURE, "humidity": _HUMIDITY}
AIR = {
    "iaq_score": FieldDescription(
        "Air quality",
        "IAQ",
        "aqi",
        0,
        bands=[
            Band(50, "excellent", "good"),
            Band(100, "good", "fair"),
            Band(150, "moderate", "mild"),
            Band(200, "poor", "warm"),
            Band(None, "bad", "bad"),
        ],
        bar=500,
        pending="iaq_accuracy",
        pending_word="calibrating",
    ),
    "iaq_accuracy": FieldDescription("Calibration", words=["burning in", "low", "medium", "high"]),
    **ROOM,
    "pressure": FieldDescription("Pressure", "hPa", "pressure", 1),
    "gas_resistance": FieldDescription("Gas resistance", "k\u03a9", decimals=1),
}
HEALTH = {
    "cpu_temp": FieldDescription(
        "CPU",
        "\u00b0C",
        "temperature",
        1,
        bands=[Band(60, tone="good"), Band(75, tone="warm"), Band(tone="bad")],
    ),
    "cpu_usage": FieldDescription(
        "Load",
        "%",
        decimals=0,
        bands=[Band(70, tone="good"), Band(90, tone="warm"), Band(tone="bad")],
        bar=100,
    ),
    "memory_used_mb": FieldDescription("Memory", "MB", "data_size", 0, bar="memory_total_mb"),
    "memory_total_mb": FieldDescription("Memory total", "MB", "data_size", 0),
    "uptime_seconds": FieldDescription("Uptime", "s", "duration", duration=True),
}
PING = {
    "up": FieldDescription(
        "Answers", words=["no", "yes"], bands=[Band(0, tone="bad"), Band(tone="good")]
    ),
    "rtt_ms": FieldDescription("Round trip", "ms", "duration", 1),
    "host": FieldDescription(),
}
_BY_KIND = {"dht22": ROOM, "bme680": AIR, "monitor": HEALTH, "ping": PING}


def description_of(sensor: str, title: str = "", area: str = "") -> SensorDescription:
    """Return what a node publishes of a sensor of the shipped configuration."""
    fields = next(fields for kind, fields in _BY_KIND.items() if kind in sensor)
    return SensorDescription(sensor.partition("-")[0], title, area, 2.0, fields)
