"""OLED screen: three values chosen from the newest readings of all nodes.

Pure: JSON in, lines of text out. Readings are chosen by their fields and by the role of their node,
so a sensor may have any name.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TITLE = "HARVESTER OS"
ABSENT = "--"
BURNING_IN = "burn-in"
# A reading older than this is not shown.
FRESH_MS = 30_000


@dataclass(frozen=True)
class Screen:
    """Text lines; a value without a fresh reading is `--`."""

    room: str
    iaq: str
    hub_cpu: str

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """Label and value of each line."""
        return (("ROOM", self.room), ("IAQ", self.iaq), ("HUB CPU", self.hub_cpu))


def screen_of(sensor_data: str) -> Screen:
    """Return what to show for the JSON that `update` is given.

    Raises ValueError where it is no JSON object.
    """
    state = json.loads(sensor_data)
    if not isinstance(state, dict):
        raise ValueError(f"an object was expected, found {sensor_data[:40]!r}")  # noqa: TRY004
    readings = _fresh_readings(state)
    hubs = _hub_nodes(state)
    return Screen(
        room=_degrees(_room_temperature(readings)),
        iaq=_iaq(readings),
        hub_cpu=_degrees(
            _first(data.get("cpu_temp") for node, data in readings if node in hubs),
        ),
    )


def _fresh_readings(state: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return node and data of each fresh reading of a node that is not offline, by sensor id."""
    last_update_ms = state.get("last_update", 0)
    offline = {name for name, node in state.get("nodes", {}).items() if _is_offline(node)}
    fresh = [
        reading
        for reading in state.get("readings", ())
        if _age_ms(reading, last_update_ms) <= FRESH_MS
        and reading["sensor_id"].partition(":")[0] not in offline
    ]
    fresh.sort(key=lambda reading: str(reading["sensor_id"]))
    return [(reading["sensor_id"].partition(":")[0], reading["data"]) for reading in fresh]


def _age_ms(reading: dict[str, Any], last_update_ms: int) -> float:
    """Return the age by the host's clock; a host without `age_ms` gives timestamps only."""
    age_ms = reading.get("age_ms")
    return age_ms if _is_number(age_ms) else last_update_ms - reading["timestamp_ms"]


def _is_offline(node: dict[str, Any]) -> bool:
    return node.get("state") == "offline"


def _hub_nodes(state: dict[str, Any]) -> set[str]:
    return {name for name, node in state.get("nodes", {}).items() if node.get("role") == "hub"}


def _room_temperature(readings: list[tuple[str, dict[str, Any]]]) -> float | None:
    """Prefer a plain climate sensor: one that also has pressure is beside its own heater."""
    climate = (
        data["temperature"]
        for _, data in readings
        if "temperature" in data and "humidity" in data and "pressure" not in data
    )
    found = _first(climate)
    if found is not None:
        return found
    return _first(data.get("temperature") for _, data in readings)


def _iaq(readings: list[tuple[str, dict[str, Any]]]) -> str:
    rated = [data for _, data in readings if "iaq_accuracy" in data or "iaq_score" in data]
    for data in rated:
        if data.get("iaq_accuracy") and _is_number(data.get("iaq_score")):
            return f"{data['iaq_score']:.0f}"
    return BURNING_IN if rated else ABSENT


def _degrees(temperature_c: float | None) -> str:
    return ABSENT if temperature_c is None else f"{temperature_c:.1f}\N{DEGREE SIGN}C"


def _first(values: Iterable[Any]) -> float | None:
    return next((value for value in values if _is_number(value)), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
