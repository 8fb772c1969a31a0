"""Device classes that every supported version of Home Assistant has, with their units.

Source: Home Assistant 2024.3.3, components/sensor/const.py (DEVICE_CLASS_UNITS and
DEVICE_CLASS_STATE_CLASSES); 2025.4.4 and 2026.11.0 have all of it. A class or a unit that a version
does not know is a line in its log, so what is not here is published without a class.
"""

import unicodedata
from typing import Literal

import msgspec

from bus.contract.quantity import OWN_UNITS

StateClass = Literal["measurement", "total", "total_increasing"]

# Units by class, as Home Assistant spells them; an empty one is a number without a unit.
_SENSORS: dict[str, str] = {
    "apparent_power": "VA",
    "aqi": "",
    "atmospheric_pressure": "Pa, bar, cbar, hPa, inHg, kPa, mbar, mmHg, psi",
    "battery": "%",
    "carbon_dioxide": "ppm",
    "carbon_monoxide": "ppm",
    "current": "A, mA",
    "data_rate": "B/s, GB/s, Gbit/s, GiB/s, KiB/s, MB/s, Mbit/s, MiB/s, bit/s, kB/s, kbit/s",
    "data_size": (
        "B, EB, EiB, GB, Gbit, GiB, KiB, MB, Mbit, MiB, PB, PiB, TB, TiB, YB, YiB, ZB, ZiB, bit, "
        "kB, kbit"
    ),
    "distance": "cm, ft, in, km, m, mi, mm, yd",
    "duration": "d, h, min, ms, s",
    "energy": "GJ, MJ, MWh, Wh, kWh",
    "energy_storage": "GJ, MJ, MWh, Wh, kWh",
    "frequency": "GHz, Hz, MHz, kHz",
    "gas": "CCF, ft³, m³",
    "humidity": "%",
    "illuminance": "lx",
    "irradiance": "BTU/(h⋅ft²), W/m²",
    "moisture": "%",
    "nitrogen_dioxide": "µg/m³",
    "nitrogen_monoxide": "µg/m³",
    "nitrous_oxide": "µg/m³",
    "ozone": "µg/m³",
    "ph": "",
    "pm1": "µg/m³",
    "pm10": "µg/m³",
    "pm25": "µg/m³",
    "power": "W, kW",
    "power_factor": "%",
    "precipitation": "cm, in, mm",
    "precipitation_intensity": "in/d, in/h, mm/d, mm/h",
    "pressure": "Pa, bar, cbar, hPa, inHg, kPa, mbar, mmHg, psi",
    "reactive_power": "var",
    "signal_strength": "dB, dBm",
    "sound_pressure": "dB, dBA",
    "speed": "ft/s, in/d, in/h, km/h, kn, m/s, mm/d, mm/h, mph",
    "sulphur_dioxide": "µg/m³",
    "temperature": "K, °C, °F",
    "volatile_organic_compounds": "µg/m³",
    "volatile_organic_compounds_parts": "ppb, ppm",
    "voltage": "V, mV",
    "volume": "CCF, L, fl. oz., ft³, gal, mL, m³",
    "volume_flow_rate": "L/min, ft³/min, gal/min, m³/h",
    "volume_storage": "CCF, L, fl. oz., ft³, gal, mL, m³",
    "water": "CCF, L, ft³, gal, m³",
    "weight": "g, kg, lb, mg, oz, st, µg",
    "wind_speed": "ft/s, km/h, kn, m/s, mph",
}
# Meters: Home Assistant takes no measurement of these.
_TOTALS: dict[str, StateClass] = {
    "energy": "total_increasing",
    "gas": "total_increasing",
    "volume": "total",
    "water": "total_increasing",
}
_BINARY_SENSORS = (
    "battery battery_charging carbon_monoxide cold connectivity door garage_door gas heat light "
    "lock moisture motion moving occupancy opening plug power presence problem running safety "
    "smoke sound tamper update vibration window"
)
BINARY_SENSORS = frozenset(_BINARY_SENSORS.split())


class NumberClass(msgspec.Struct, frozen=True):
    """Class and unit of a number, each None where there is none."""

    device_class: str | None
    unit: str | None
    state_class: StateClass = "measurement"


def of_number(quantity: str, unit: str) -> NumberClass:
    """Return the class of a described number; a unit that the class does not have stays plain.

    >>> of_number("humidity", "%RH").unit
    '%'
    """
    units = _spelled(quantity)
    wanted = "" if unit == OWN_UNITS.get(quantity) and "%" not in units else unit
    if unit == OWN_UNITS.get(quantity) and "%" in units:
        wanted = "%"
    found = units.get(_plain(wanted))
    if found is None:
        return NumberClass(None, _unit(unit))
    return NumberClass(quantity, found or None, _TOTALS.get(quantity, "measurement"))


def is_of_numbers(quantity: str) -> bool:
    """Whether a class is one of numbers; some are of numbers and of states."""
    return quantity in _SENSORS


def _unit(unit: str) -> str | None:
    """Return a unit without a class; relative humidity is a percentage in Home Assistant."""
    return "%" if unit == "%RH" else unit.strip() or None


def _spelled(quantity: str) -> dict[str, str]:
    """Return the units of a class by their plain form."""
    units = _SENSORS.get(quantity)
    return {} if units is None else {_plain(unit): unit for unit in units.split(", ")}


def _plain(unit: str) -> str:
    return unicodedata.normalize("NFKC", unit).strip()
