"""Conversion of a poll's return value to samples, by the fields of its records. Pure."""

import math
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, cast

from bus.contract.messages import Value
from bus.contract.topics import is_name
from bus.errors import BadDataError
from bus.outbox.outbox import Sample

__all__ = ["Sample", "samples"]

_SENSOR_ID = "sensor-id"
_TIMESTAMP = "timestamp-ms"
_VALUES = "values"
MAX_FIELDS = 64
_MAX_TEXT_CHARS = 256
MAX_NAME_CHARS = 64
# The end of the year 9999, the latest that calendars of most programs reach.
LATEST_MS = 253_402_300_799_999
_LARGEST_F32 = 3.4e38
# What the contract's integers have in place of NaN: all bits set.
NOT_MEASURED_U32 = 0xFFFF_FFFF
NOT_MEASURED_U64 = 0xFFFF_FFFF_FFFF_FFFF
_NOT_MEASURED = (NOT_MEASURED_U32, NOT_MEASURED_U64)
# In a wider integer these are numbers like others, so they go by the contract's narrow fields.
NARROW_NOT_MEASURED = {"iaq-score": 0xFFFF, "iaq-accuracy": 0xFF}


Note = Callable[[str], object]


def samples(polled: object, plugin: str, note: Note = lambda _problem: None) -> list[Sample]:
    """Return the readings in what `plugin` returned: one record, or a list of them.

    A record without a sensor id is named after its plugin. NaN, and an integer with all its bits
    set, stand for what was not measured: such a value is absent. Infinity is absent too, but is
    reported to `note` as a mistake. Raises BadDataError where a record cannot be a reading, where
    two are of one sensor, and with the plugin's own words where it returned an err.
    """
    if isinstance(polled, str):
        raise BadDataError(polled)
    records = polled if isinstance(polled, list) else [polled]
    found = [_sample(vars(record), plugin, note) for record in records]
    for sensor_id, count in Counter(sample.sensor_id for sample in found).items():
        if count > 1:
            raise BadDataError(f"{sensor_id}: found {count} readings, expected one a poll")
    return found


def _sample(fields: dict[str, Any], plugin: str, note: Note) -> Sample:
    sensor_id = fields.get(_SENSOR_ID, plugin)
    timestamp_ms = fields.get(_TIMESTAMP)
    if not isinstance(sensor_id, str) or not is_name(sensor_id):
        raise BadDataError(f"sensor id {str(sensor_id)[:80]!r}: expected a-z, 0-9 and dashes")
    if not isinstance(timestamp_ms, int):
        raise BadDataError(f"{sensor_id}: found no {_TIMESTAMP}, expected Unix milliseconds")
    if not 0 <= timestamp_ms <= LATEST_MS:
        raise BadDataError(
            f"{sensor_id}: {_TIMESTAMP}: found {timestamp_ms}, expected Unix milliseconds"
        )
    try:
        data = _data(fields, lambda problem: note(f"{sensor_id}: {problem}"))
    except BadDataError as e:
        raise BadDataError(f"{sensor_id}: {e}") from e
    if not data:
        raise BadDataError(f"{sensor_id}: found no finite value, expected one at least")
    if len(data) > MAX_FIELDS:
        raise BadDataError(f"{sensor_id}: found {len(data)} values, expected {MAX_FIELDS} at most")
    return Sample(sensor_id, timestamp_ms, data)


def _data(fields: dict[str, Any], note: Note) -> dict[str, Value]:
    """Return the measured values of one record by their names on the bus."""
    data: dict[str, Value] = {}
    given_names: dict[str, str] = {}
    for given, value in _values(fields):
        name = _bus_name(given)
        if name in given_names:
            raise BadDataError(
                f"found two values called {name}: {given_names[name]!r} and {given!r}; expected one"
            )
        given_names[name] = given
        if _is_measured(given, value, note):
            data[name] = value
    return data


def _values(fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of a record: its own fields, then those that it lists."""
    for name, value in fields.items():
        if name not in (_SENSOR_ID, _TIMESTAMP, _VALUES):
            yield name, _shortest(value) if isinstance(value, float) else value
    yield from cast("list[tuple[str, float]]", fields.get(_VALUES, []))


def _bus_name(name: str) -> str:
    """Return the name of a value on the bus. Raises BadDataError where it cannot be one."""
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise BadDataError(
            f"found a value named {name[:80]!r}, expected 1 to {MAX_NAME_CHARS} printable letters"
        )
    return name.replace("-", "_")


def _is_measured(name: str, value: Any, note: Note) -> bool:
    """Return whether a value is a measurement. Raises BadDataError where no message holds it."""
    if not isinstance(value, Value) or len(str(value)) > _MAX_TEXT_CHARS:
        raise BadDataError(f"{name}: found {type(value).__name__}, expected one value")
    if isinstance(value, float) and not math.isfinite(value):
        if math.isinf(value):
            note(f"{name}: found {value}, expected a finite number")
        return False
    not_measured = (*_NOT_MEASURED, NARROW_NOT_MEASURED.get(name))
    return not (isinstance(value, int) and value in not_measured)


def _shortest(value: float) -> float:
    """Return a number that came through an f32 without the digits that the f32 never had."""
    if (
        not abs(value) <= _LARGEST_F32
        or value.is_integer()
        or struct.unpack("f", struct.pack("f", value))[0] != value
    ):
        return value
    for digits in (6, 7, 8, 9):
        short = float(f"{value:.{digits}g}")
        if struct.unpack("f", struct.pack("f", short))[0] == value:
            return short
    return value
