"""Names of metrics by Prometheus's guide: one metric a quantity, in base units. Pure.

    metric("temperature", FieldDescription(unit="°C", quantity="temperature"))
        -> harvester_temperature_celsius
    metric("humidity", FieldDescription(unit="%RH", quantity="humidity"))
        -> harvester_humidity_ratio, times 0.01
    metric("gas_resistance", FieldDescription(unit="kΩ"))
        -> harvester_gas_resistance_ohms, times 1000

Source: prometheus.io, "Metric and label naming".
"""

import re
import unicodedata
from functools import lru_cache

import msgspec

from bus.contract.description import FieldDescription

_PREFIX = "harvester"

# First words of the system's own metrics; a field whose name begins with one is another metric.
RESERVED_WORDS = frozenset(
    {
        *("alarm", "backup", "broker", "build", "fleet", "history", "homeassistant", "log"),
        *("node", "notification", "plugin", "reading", "sensor", "task", "value"),
    }
)
# Suffixes with a meaning of their own in Prometheus.
_RESERVED_SUFFIXES = ("_total", "_count", "_sum", "_bucket", "_info")
# Words that promtool takes for an abbreviated unit or a type, and units that are no base units.
_MISTAKEN_WORDS = frozenset(
    {
        *("s", "ms", "us", "ns", "sec", "m", "h", "d"),
        *("b", "kb", "mb", "gb", "tb", "pb"),
        *("counter", "gauge", "histogram", "summary"),
    }
)
_LONG_PREFIXES = (
    "(pico|nano|micro|milli|centi|deci|deca|hecto|kilo|kibi|mega|mibi|giga|gibi|tera|tebi|peta|"
    "pebi)"
)
_OTHER_UNITS = (
    "minutes|hours|days|weeks|bits|calories|fahrenheit|inches|kelvins|miles|ounces|pounds|rankine|"
    "yards"
)
_BASE_UNITS = "amperes|bytes|celsius|grams|joules|kelvin|meters|metres|seconds|volts"
_MISTAKEN_UNITS = re.compile(
    f"{_LONG_PREFIXES}?({_OTHER_UNITS})|{_LONG_PREFIXES}({_BASE_UNITS})",
)
_MOST_CHARS = 100
_SIGNIFICANT_DIGITS = 12


class Unit(msgspec.Struct, frozen=True):
    """Base unit of a unit; a value in it is `value * factor + offset`."""

    name: str
    factor: float = 1.0
    offset: float = 0.0


class Metric(msgspec.Struct, frozen=True):
    """Name of a metric, its help text, and the unit of its values."""

    name: str
    help: str
    unit: Unit

    def value(self, value: float) -> float:
        """Return a value of the field in the metric's unit."""
        if (self.unit.factor, self.unit.offset) == (1.0, 0.0):
            return value
        # Without the digits that a binary fraction adds: 0.437, not 0.43700000000000006.
        return float(f"{value * self.unit.factor + self.unit.offset:.{_SIGNIFICANT_DIGITS}g}")


_UNITS = {
    "°C": Unit("celsius"),
    "°F": Unit("celsius", 5 / 9, -160 / 9),
    "K": Unit("kelvin"),
    "%": Unit("ratio", 0.01),
    "%RH": Unit("ratio", 0.01),
    "min": Unit("seconds", 60.0),
    "h": Unit("seconds", 3600.0),
    "d": Unit("seconds", 86_400.0),
    "mmHg": Unit("pascals", 133.322387415),
    "inHg": Unit("pascals", 3386.389),
    "psi": Unit("pascals", 6894.757293168),
    "km/h": Unit("meters_per_second", 1 / 3.6),
    "kn": Unit("meters_per_second", 1852 / 3600),
    "mph": Unit("meters_per_second", 0.44704),
    "°": Unit("degrees"),
    "dB": Unit("decibels"),
    "m2": Unit("square_meters"),
    "m3": Unit("cubic_meters"),
    "lx": Unit("lux"),
    # 1024, as in every MB of HARVESTER.
    "B": Unit("bytes"),
    "kB": Unit("bytes", 1024.0),
    "KB": Unit("bytes", 1024.0),
    "KiB": Unit("bytes", 1024.0),
    "MB": Unit("bytes", 1024.0**2),
    "MiB": Unit("bytes", 1024.0**2),
    "GB": Unit("bytes", 1024.0**3),
    "GiB": Unit("bytes", 1024.0**3),
}
# The unit of a temperature; a light's colour is in kelvin.
_OF_QUANTITY = {("temperature", "K"): Unit("celsius", 1.0, -273.15)}
# Units that take the prefixes below.
_SI_UNITS = {
    "s": Unit("seconds"),
    "m": Unit("meters"),
    "g": Unit("grams"),
    "Pa": Unit("pascals"),
    "bar": Unit("pascals", 100_000.0),
    "Ω": Unit("ohms"),
    "Ohm": Unit("ohms"),
    "ohm": Unit("ohms"),
    "V": Unit("volts"),
    "A": Unit("amperes"),
    "W": Unit("watts"),
    "J": Unit("joules"),
    "Wh": Unit("joules", 3600.0),
    "Hz": Unit("hertz"),
    "L": Unit("cubic_meters", 0.001),
    "l": Unit("cubic_meters", 0.001),
    "S": Unit("siemens"),
    "T": Unit("teslas"),
    "N": Unit("newtons"),
    "Sv": Unit("sieverts"),
}
# U+03BC is the Greek letter that Unicode's compatibility form makes of the micro sign.
_SI_PREFIXES = {
    "": 1.0,
    "n": 1e-9,
    "\u03bc": 1e-6,
    "u": 1e-6,
    "m": 1e-3,
    "c": 1e-2,
    "h": 100.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
}
_PER = {
    "s": Unit("second"),
    "min": Unit("second", 60.0),
    "h": Unit("second", 3600.0),
    "d": Unit("second", 86_400.0),
    "m": Unit("meter"),
    "cm": Unit("meter", 0.01),
    "m2": Unit("square_meter"),
    "m3": Unit("cubic_meter"),
}
# Parts of a field's name that repeat a unit, and are not its symbol.
_SYMBOL_WORDS = {
    "%": ("pct", "percent"),
    "%RH": ("pct", "percent", "rh"),
    "min": ("minutes",),
    "h": ("hours",),
    "d": ("days",),
}
_SLUGS = str.maketrans(
    {"/": "_per_", "%": "_percent_", "\u03bc": "u", "Ω": "ohm", "°": "_deg_", "€": "_euro_"}
)


@lru_cache(maxsize=4096)
def metric_of(field: str, quantity: str, unit: str) -> Metric:
    """Return the metric of a field's quantity, of the field where no quantity is known."""
    symbol = unicodedata.normalize("NFKC", unit).strip()
    base = _OF_QUANTITY.get((quantity, symbol)) or _base_unit(symbol) or Unit(_slug(symbol))
    subject = _slug(quantity) or _without_unit(_slug(field), symbol, base) or "value"
    parts = [subject] if base.name in subject.split("_") else [subject, base.name]
    name = "_".join(part for part in parts if part)
    words = f", in {base.name.replace('_', ' ')}" if base.name else ""
    return Metric(_legal(name), f"Newest values: {subject.replace('_', ' ')}{words}", base)


def metric(field: str, described: FieldDescription) -> Metric:
    """Return the metric of a described field; a duration without a unit is in seconds."""
    unit = described.unit or ("s" if described.duration else "")
    return metric_of(field, described.quantity, unit)


def _base_unit(symbol: str) -> Unit | None:
    found = _UNITS.get(symbol) or _with_prefix(symbol)
    if found is not None or "/" not in symbol:
        return found
    above, _, below = symbol.partition("/")
    upper, lower = _UNITS.get(above) or _with_prefix(above), _PER.get(below)
    if upper is None or lower is None or upper.offset:
        return None
    return Unit(f"{upper.name}_per_{lower.name}", upper.factor / lower.factor)


def _with_prefix(symbol: str) -> Unit | None:
    for prefix, factor in _SI_PREFIXES.items():
        base = _SI_UNITS.get(symbol.removeprefix(prefix))
        if base is not None and symbol.startswith(prefix):
            return Unit(base.name, base.factor * factor)
    return None


def _without_unit(name: str, symbol: str, base: Unit) -> str:
    """Return the name of a field without a unit at its end: `rtt` of `rtt_ms`."""
    if not symbol:
        return name
    for unit in (base.name, _slug(symbol), *_SYMBOL_WORDS.get(symbol, ())):
        if unit and name.endswith(f"_{unit}"):
            return name.removesuffix(f"_{unit}")
    return name


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).translate(_SLUGS).lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:_MOST_CHARS]


def _legal(name: str) -> str:
    name = _without_mistaken_words(name)
    if name.partition("_")[0] in RESERVED_WORDS:
        name = f"value_{name}"
    if f"_{name}".endswith(_RESERVED_SUFFIXES):
        name = f"{name}_value"
    return f"{_PREFIX}_{name}"


def _without_mistaken_words(name: str) -> str:
    """Return a name in which no word is taken for what it is not: `windms` for `wind_ms`."""
    words: list[str] = []
    for word in name.split("_"):
        joined = word
        while joined in _MISTAKEN_WORDS or _MISTAKEN_UNITS.fullmatch(joined):
            joined = (words.pop() if words else "value") + joined
        words.append(joined)
    return "_".join(words)
