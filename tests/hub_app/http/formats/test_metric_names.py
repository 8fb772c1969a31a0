"""Names of metrics follow Prometheus's guide, whatever an author writes."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.contract.description import FieldDescription
from bus.contract.quantity import QUANTITIES
from hub_app.http.formats.metric_names import metric, metric_of
from tests.default_descriptions import AIR, HEALTH, PING, ROOM

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=80)


@pytest.mark.parametrize(
    ("asked", "name", "value", "expected"),
    [
        (("temperature", "temperature", "\u00b0C"), "temperature_celsius", 21.5, 21.5),
        (("outside", "temperature", "\u00b0F"), "temperature_celsius", 212.0, 100.0),
        (("outside", "temperature", "K"), "temperature_celsius", 273.15, 0.0),
        (("lamp", "", "K"), "lamp_kelvin", 2700, 2700),
        (("humidity", "humidity", "%RH"), "humidity_ratio", 43.7, 0.437),
        (("humidity_pct", "", "%"), "humidity_ratio", 43.7, 0.437),
        (
            ("pressure", "atmospheric_pressure", "hPa"),
            "atmospheric_pressure_pascals",
            1013.4,
            101340,
        ),
        (("gas_resistance", "", "k\u03a9"), "gas_resistance_ohms", 81.6, 81_600),
        (("gas_resistance", "", "k\u2126"), "gas_resistance_ohms", 81.6, 81_600),
        (("gas_resistance", "", "kOhm"), "gas_resistance_ohms", 81.6, 81_600),
        (("memory_used_mb", "", "MB"), "memory_used_bytes", 2, 2_097_152),
        (("memory_used_mb", "data_size", "MB"), "data_size_bytes", 2, 2_097_152),
        (("rtt_ms", "", "ms"), "rtt_seconds", 0.2, 0.0002),
        (("uptime_seconds", "duration", "s"), "duration_seconds", 7, 7),
        (("uptime_seconds", "", "s"), "uptime_seconds", 7, 7),
        (("light", "illuminance", "lx"), "illuminance_lux", 120, 120),
        (("dust", "pm25", "\u00b5g/m\u00b3"), "pm25_grams_per_cubic_meter", 12, 0.000012),
        (("wind", "wind_speed", "km/h"), "wind_speed_meters_per_second", 36, 10),
        (("speed_meters_per_second", "", "m/s"), "speed_meters_per_second", 3, 3),
        (("rain", "", "mm/h"), "rain_meters_per_second", 3600, 0.001),
        (("power", "power", "kW"), "power_watts", 1.5, 1500),
        (("meter", "energy", "kWh"), "energy_joules", 1, 3_600_000),
        (("supply_mv", "voltage", "mV"), "voltage_volts", 3300, 3.3),
        (("co2", "carbon_dioxide", "ppm"), "carbon_dioxide_ppm", 1247, 1247),
        (("ec", "conductivity", "\u00b5S/cm"), "conductivity_siemens_per_meter", 100, 0.01),
        (("iaq_score", "", "IAQ"), "iaq_score", 38, 38),
        (("iaq_score", "aqi", ""), "aqi", 38, 38),
        (("iaq_accuracy", "", ""), "iaq_accuracy", 3, 3),
        (("flow", "", "furlong/fortnight"), "flow_furlong_per_fortnight", 1, 1),
        (("up", "", ""), "up", True, 1),
        (("sensor_up", "", ""), "value_sensor_up", True, 1),
        (("pressed_count", "", ""), "pressed_count_value", 4, 4),
        (("\u6e29\u5ea6", "", "\u5ea6"), "value_value", 4, 4),
    ],
)
def test_a_quantity_has_one_metric_in_its_base_unit(
    asked: tuple[str, str, str], name: str, value: float, expected: float
) -> None:
    found = metric_of(*asked)
    assert (found.name, found.value(value)) == (f"harvester_{name}", expected)


def test_a_duration_without_a_unit_is_in_seconds() -> None:
    assert metric("uptime", FieldDescription(duration=True)).name == "harvester_uptime_seconds"


def test_the_shipped_sensors_have_these_metrics() -> None:
    fields = {**AIR, **HEALTH, **PING, **ROOM}
    assert {
        name: metric(name, field).name.removeprefix("harvester_") for name, field in fields.items()
    } == {
        "iaq_score": "iaq_score",
        "iaq_accuracy": "iaq_accuracy",
        "temperature": "temperature_celsius",
        "humidity": "humidity_ratio",
        "pressure": "atmospheric_pressure_pascals",
        "pressure_sea_level": "atmospheric_pressure_pascals",
        "gas_resistance": "gas_resistance_ohms",
        "cpu_temp": "temperature_celsius",
        "cpu_usage": "cpu_usage_ratio",
        "memory_used_mb": "data_size_bytes",
        "memory_total_mb": "data_size_bytes",
        "uptime_seconds": "duration_seconds",
        "up": "connectivity",
        "rtt_ms": "duration_seconds",
        "host": "host",
    }


@settings(deadline=None)
@given(WORDS, st.sampled_from(["", *sorted(QUANTITIES)]) | WORDS, WORDS)
def test_every_name_is_legal_and_free(field: str, quantity: str, unit: str) -> None:
    found = metric_of(field, quantity, unit)
    assert re.fullmatch(r"harvester_[a-z0-9]+(_[a-z0-9]+)*", found.name)
    assert not found.name.endswith(("_total", "_count", "_sum", "_bucket", "_info"))
    assert "\n" not in found.help
    assert metric_of(field, quantity, unicodedata.normalize("NFKC", unit)) == found
