"""Names and values in readings that a node refuses, though right by the contract. Pure.

The node refuses such a reading by itself, and keeps the plugin; only here the line is known that
made it. It runs in the guest's Python.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

_SHOWN_CHARS = 60
# The node's own bounds, in `node_agent.plugins.readings`.
MAX_FIELDS, MAX_NAME_CHARS = 64, 64
LATEST_MS = 253_402_300_799_999


def refused(value: Any, sensor_id_pattern: str) -> Iterator[tuple[Any, str]]:
    """Yield each record that a node refuses, with the reason; their types are right."""
    seen: set[str] = set()
    for record in value if isinstance(value, list) else [value]:
        sensor_id = getattr(record, "sensor_id", None)
        if not isinstance(sensor_id, str):
            continue
        head = f"sensor {sensor_id[:_SHOWN_CHARS]!r}"
        if not re.match(sensor_id_pattern, sensor_id):
            yield record, f"{head}: sensor_id: found no name, expected a-z, 0-9 and dashes"
        elif sensor_id in seen:
            yield record, f"{head}: found a second reading, expected one a poll"
        seen.add(sensor_id)
        timestamp_ms = getattr(record, "timestamp_ms", 0)
        if isinstance(timestamp_ms, int) and timestamp_ms > LATEST_MS:
            yield record, f"{head}: timestamp_ms: found {timestamp_ms}, expected Unix milliseconds"
        values = getattr(record, "values", None)
        if values is not None:
            for wrong in (*_bounds(values), *_twins(values), *_not_finite(values)):
                yield record, f"{head}: values: {wrong}"


def _bounds(values: list[tuple[str, float]]) -> Iterator[str]:
    """Yield what is too much or too long."""
    if len(values) > MAX_FIELDS:
        yield f"found {len(values)}, expected {MAX_FIELDS} at most"
    for name, _ in values:
        if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
            shown = name[:_SHOWN_CHARS]
            yield f"found the name {shown!r}, expected 1 to {MAX_NAME_CHARS} printable letters"


def _twins(values: list[tuple[str, float]]) -> Iterator[str]:
    """Yield the names that are the same on the bus."""
    given_names: dict[str, str] = {}
    for given, _ in values:
        name = given.replace("-", "_")
        if name in given_names:
            first = given_names[name][:_SHOWN_CHARS]
            yield f"found {first!r} and {given[:_SHOWN_CHARS]!r}, expected one value called {name}"
        given_names.setdefault(name, given)


def _not_finite(values: list[tuple[str, float]]) -> Iterator[str]:
    """Yield the values that are left out of a reading, and that it has no other; NaN is right.

    Numbers of other types are not asked: that would run their author's code once more.
    """
    floats = [(name, value) for name, value in values if isinstance(value, float)]
    for name, value in floats:
        if math.isinf(value):
            yield f"{name[:_SHOWN_CHARS]!r}: found {value}, expected a finite number"
    if len(floats) == len(values) and not any(math.isfinite(value) for _, value in floats):
        yield "found no finite value, expected one at least"
