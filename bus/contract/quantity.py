"""Quantities: Home Assistant's device classes of sensors and of binary sensors, and their units.

Source: Home Assistant 2026.11.0, components/sensor/const.py (DEVICE_CLASS_UNITS) and
components/binary_sensor/const.py; what 2024.3.3 and 2025.4.4 have is part of it. The tests compare
the tables with a recording of all three.
"""

import unicodedata
from collections.abc import Iterable

from bus.contract.mistake import shown

# Units by device class. Without a text any unit will do; an empty one is a number without a unit.
SENSOR_UNITS: dict[str, str | None] = {
    "absolute_humidity": "g/m³, mg/m³",
    "apparent_power": "VA, kVA, mVA",
    "aqi": "",
    "area": "ac, cm², ft², ha, in², km², mi², mm², m², yd²",
    "atmospheric_pressure": "Pa, atm, bar, cbar, hPa, inHg, inH₂O, kPa, mPa, mbar, mmHg, psi",
    "battery": "%",
    "blood_glucose_concentration": "mg/dL, mmol/L",
    "carbon_dioxide": "ppm",
    "carbon_monoxide": "mg/m³, ppb, ppm, μg/m³",
    "conductivity": "S/cm, mS/cm, μS/cm",
    "current": "A, mA, μA",
    "data_rate": "B/s, GB/s, Gbit/s, GiB/s, KiB/s, MB/s, Mbit/s, MiB/s, bit/s, kB/s, kbit/s",
    "data_size": (
        "B, EB, EiB, GB, Gbit, GiB, KiB, MB, Mbit, MiB, PB, PiB, TB, TiB, YB, YiB, ZB, ZiB, bit, "
        "kB, kbit"
    ),
    "date": None,
    "distance": "cm, ft, in, km, m, mi, mm, nmi, yd",
    "duration": "d, h, min, ms, s, μs",
    "energy": "GJ, GWh, Gcal, J, MJ, MWh, Mcal, TWh, Wh, cal, kJ, kWh, kcal, mWh, thm",
    "energy_distance": "Wh/km, kWh/100km, km/kWh, mi/kWh",
    "energy_storage": "GJ, GWh, Gcal, J, MJ, MWh, Mcal, TWh, Wh, cal, kJ, kWh, kcal, mWh, thm",
    "enum": None,
    "frequency": "GHz, Hz, MHz, kHz, mHz",
    "gas": "CCF, L, MCF, ft³, m³",
    "humidity": "%",
    "illuminance": "lx",
    "irradiance": "BTU/(h⋅ft²), W/m²",
    "moisture": "%",
    "monetary": None,
    "nitrogen_dioxide": "ppb, ppm, μg/m³",
    "nitrogen_monoxide": "ppb, μg/m³",
    "nitrous_oxide": "μg/m³",
    "ozone": "ppb, ppm, μg/m³",
    "ph": "",
    "pm1": "μg/m³",
    "pm10": "μg/m³",
    "pm25": "μg/m³",
    "pm4": "μg/m³",
    "power": "GW, MW, TW, W, kW, mW",
    "power_factor": "%",
    "precipitation": "cm, in, mm",
    "precipitation_intensity": "in/d, in/h, mm/d, mm/h",
    "pressure": "Pa, atm, bar, cbar, hPa, inHg, inH₂O, kPa, mPa, mbar, mmHg, psi",
    "radon": "Bq/m³, pCi/L",
    "reactive_energy": "kvarh, varh",
    "reactive_power": "kvar, mvar, var",
    "signal_strength": "dB, dBm",
    "sound_pressure": "dB, dBA",
    "speed": "Beaufort, ft/s, in/d, in/h, in/s, km/h, kn, m/min, m/s, mm/d, mm/h, mm/s, mph",
    "sulphur_dioxide": "ppb, μg/m³",
    "temperature": "K, °C, °F",
    "temperature_delta": "K, °C, °F",
    "timestamp": None,
    "uptime": None,
    "volatile_organic_compounds": "mg/m³, μg/m³",
    "volatile_organic_compounds_parts": "ppb, ppm",
    "voltage": "MV, V, kV, mV, μV",
    "volume": "CCF, L, MCF, fl. oz., ft³, gal, mL, m³",
    "volume_flow_rate": "L/h, L/min, L/s, ft³/min, gal/d, gal/h, gal/min, mL/s, m³/h, m³/min, m³/s",
    "volume_storage": "CCF, L, MCF, fl. oz., ft³, gal, mL, m³",
    "water": "CCF, L, MCF, ft³, gal, m³",
    "weight": "g, kg, lb, mg, oz, st, μg",
    "wind_direction": "°",
    "wind_speed": "Beaufort, ft/s, in/s, km/h, kn, m/min, m/s, mm/s, mph",
}
_BINARY_SENSORS = (
    "battery battery_charging carbon_monoxide cold connectivity door garage_door gas glass_break "
    "heat light lock moisture motion moving occupancy opening plug power presence problem running "
    "safety smoke sound tamper update vibration window"
)
BINARY_SENSORS = frozenset(_BINARY_SENSORS.split())
QUANTITIES = BINARY_SENSORS.union(SENSOR_UNITS)
# Units of ours: the same number as in Home Assistant, under the name that people know.
OWN_UNITS = {"aqi": "AQI", "humidity": "%RH", "moisture": "%RH", "ph": "pH"}
# Units of another quantity that a mistake names.
_MOST_NAMED = 3


def units_of(quantity: str) -> list[str] | None:
    """Return the units that a quantity may have, ours included; None where any will do."""
    units = SENSOR_UNITS.get(quantity)
    if units is None:
        return None
    own = OWN_UNITS.get(quantity)
    return [*filter(None, units.split(", ")), *([own] if own else [])]


def unit_mistake(quantity: str, unit: str) -> str | None:
    """Return `found this, expected that` where a known quantity does not have `unit`, else None.

    A field without a unit is never a mistake: it may be the state of a binary sensor. Characters
    that look alike are one: both micro signs, `m3` and `m³`.

    >>> unit_mistake("illuminance", "lux")
    "found 'lux', expected a unit of illuminance in Home Assistant: lx"
    """
    units = units_of(quantity)
    if not unit or units is None or _is_in(unit, units):
        return None
    others = [name for name in SENSOR_UNITS if _is_in(unit, units_of(name) or [])]
    hint = f"; {shown(unit)} is one of {', '.join(others[:_MOST_NAMED])}" if others else ""
    return (
        f"found {shown(unit)}, expected a unit of {quantity} in Home Assistant: "
        f"{', '.join(units) or 'none'}{hint}"
    )


def _is_in(unit: str, units: Iterable[str]) -> bool:
    return _plain(unit) in map(_plain, units)


def _plain(unit: str) -> str:
    return unicodedata.normalize("NFKC", unit).strip()
