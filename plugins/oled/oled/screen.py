"""OLED screen: the values that are shown, chosen by the owner or from the readings of all nodes.

JSON in, rows of text out. Words, units and decimals are those of the sensors' descriptions. The
automatic choice goes by the fields of the plugin contract and by the role of a node, so a sensor
may have any name.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oled.layout import Row
from oled.line_choice import Choice
from oled.value_text import ABSENT, is_pending, text_of

# A reading older than this is not shown.
FRESH_S = 30


@dataclass(frozen=True)
class _Sensor:
    """Newest reading of one sensor, with what its node says of it."""

    node: str
    name: str
    data: dict[str, Any]
    title: str
    area: str
    described: dict[str, dict[str, Any]]

    @property
    def fields(self) -> list[str]:
        """The names of its values: the described ones in their order, then the others."""
        known = [
            name
            for name, field in self.described.items()
            if name in self.data or is_pending(field, self.data)
        ]
        return known + [name for name in self.data if name not in known]

    def row(self, name: str) -> Row:
        """Return the row of a value."""
        field = self.described.get(name, {})
        text = text_of(field, name, self.data)
        source = self.title or self.area or self.node
        return Row(source, field.get("label") or name, text.value, text.unit, text.word)

    def number(self, name: str) -> float | None:
        value = self.data.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return value if is_number else None


def rows_of(
    sensor_data: str, choices: Sequence[Choice] = (), fresh_s: float = FRESH_S
) -> list[Row]:
    """Return the rows for the JSON that `update` is given.

    Without `choices` they are a room's temperature, the air quality and the hub's CPU. Raises
    ValueError where it is no JSON object.
    """
    state = json.loads(sensor_data)
    if not isinstance(state, dict):
        raise ValueError(f"an object was expected, found {sensor_data[:40]!r}")  # noqa: TRY004
    sensors = _fresh_sensors(state, 1000 * fresh_s)
    if choices:
        return [row for choice in choices for row in _chosen(choice, sensors)]
    return [_room(sensors), _air(sensors), _hub_cpu(sensors, _hub_nodes(state))]


def screen_at(rows: Sequence[Row], slots: int, screen_s: float, now_s: float) -> Sequence[Row]:
    """Return the rows of this moment: where all do not fit, they take turns of `screen_s`."""
    screens = range(0, max(1, len(rows)), slots)
    first = screens[int(now_s // screen_s) % len(screens)]
    return rows[first : first + slots]


def _chosen(choice: Choice, sensors: Sequence[_Sensor]) -> list[Row]:
    found = [
        sensor.row(name)
        for sensor in sensors
        if choice.fits(sensor.node, sensor.name)
        for name in choice.fields(sensor.fields)
    ]
    return found or [Row("", choice.text, ABSENT)]


def _fresh_sensors(state: dict[str, Any], fresh_ms: float) -> list[_Sensor]:
    """Return each sensor with a fresh reading of a node that is not offline, by sensor id."""
    last_update_ms = state.get("last_update", 0)
    offline = {name for name, node in state.get("nodes", {}).items() if _is_offline(node)}
    fresh = [
        _sensor(reading)
        for reading in sorted(state.get("readings", ()), key=lambda one: str(one["sensor_id"]))
        if _age_ms(reading, last_update_ms) <= fresh_ms
    ]
    return [sensor for sensor in fresh if sensor.node not in offline]


def _sensor(reading: dict[str, Any]) -> _Sensor:
    node, _, name = reading["sensor_id"].partition(":")
    said = reading.get("description") or {}
    title, area = said.get("title", ""), said.get("area", "")
    return _Sensor(node, name, reading["data"], title, area, said.get("fields", {}))


def _age_ms(reading: dict[str, Any], last_update_ms: int) -> float:
    """Return the age by the host's clock; a host without `age_ms` gives timestamps only."""
    age_ms = reading.get("age_ms")
    is_number = isinstance(age_ms, int | float) and not isinstance(age_ms, bool)
    return age_ms if is_number else last_update_ms - reading["timestamp_ms"]


def _is_offline(node: dict[str, Any]) -> bool:
    return bool(node.get("state") == "offline")


def _hub_nodes(state: dict[str, Any]) -> set[str]:
    return {name for name, node in state.get("nodes", {}).items() if node.get("role") == "hub"}


def _room(sensors: Sequence[_Sensor]) -> Row:
    """Prefer a plain climate sensor: one that also has pressure is beside its own heater."""
    measured = [sensor for sensor in sensors if sensor.number("temperature") is not None]
    climate = (s for s in measured if "humidity" in s.data and "pressure" not in s.data)
    return _first_row(climate, "temperature", _first_row(measured, "temperature"))


def _air(sensors: Sequence[_Sensor]) -> Row:
    """Prefer a score that is valid; while there is none, the word for that is shown."""
    rated = [s for s in sensors if "iaq_accuracy" in s.data or "iaq_score" in s.data]
    valid = (s for s in rated if s.data.get("iaq_accuracy") and s.number("iaq_score") is not None)
    return _first_row(valid, "iaq_score", _first_row(_awaited(rated), "iaq_score"))


def _awaited(rated: Iterable[_Sensor]) -> Iterator[_Sensor]:
    """Yield the sensors without their score: before the end of the burn-in it is none."""
    for sensor in rated:
        data = {name: value for name, value in sensor.data.items() if name != "iaq_score"}
        yield replace(sensor, data=data)


def _hub_cpu(sensors: Sequence[_Sensor], hubs: set[str]) -> Row:
    measured = (s for s in sensors if s.node in hubs and s.number("cpu_temp") is not None)
    return _first_row(measured, "cpu_temp")


def _first_row(sensors: Iterable[_Sensor], name: str, otherwise: Row | None = None) -> Row:
    for sensor in sensors:
        return sensor.row(name)
    return otherwise or Row("", name, ABSENT)
