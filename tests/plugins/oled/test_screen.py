"""OLED screen: the values that it chooses from the readings of all nodes."""

import json
from typing import Any

import pytest

from plugins.oled.screen import Screen, screen_of

NOW_MS = 1_700_000_000_000
NODES = {
    "revpi": {"role": "hub", "state": "online"},
    "pi4": {"role": "spoke", "state": "online"},
}
CLIMATE = {"temperature": 21.5, "humidity": 40.0}
AIR = {
    "temperature": 24.0,
    "humidity": 35.0,
    "pressure": 1005.0,
    "iaq_score": 42,
    "iaq_accuracy": 1,
}


def shown(*readings: tuple[str, dict[str, Any]], age_ms: int = 0, nodes: Any = NODES) -> Screen:
    return screen_of(
        json.dumps(
            {
                "readings": [
                    {"sensor_id": sensor_id, "timestamp_ms": NOW_MS - age_ms, "data": data}
                    for sensor_id, data in readings
                ],
                "last_update": NOW_MS,
                "nodes": nodes,
            }
        )
    )


def test_room_air_and_hub_are_shown() -> None:
    found = shown(
        ("revpi:revpi-monitor", {"cpu_temp": 48.26}),
        ("pi4:pi4-monitor", {"cpu_temp": 55.0}),
        ("pi4:bme680-0x77", AIR),
        ("pi4:dht22-gpio4", CLIMATE),
    )
    assert found == Screen("21.5\N{DEGREE SIGN}C", "42", "48.3\N{DEGREE SIGN}C")
    assert found.rows == (
        ("ROOM", "21.5\N{DEGREE SIGN}C"),
        ("IAQ", "42"),
        ("HUB CPU", "48.3\N{DEGREE SIGN}C"),
    )


def test_sensors_and_nodes_may_be_called_anything() -> None:
    found = shown(
        ("x:z", CLIMATE), ("y:q", {"cpu_temp": 60.0}), nodes={"y": {"role": "hub"}, "x": {}}
    )
    assert (found.room, found.hub_cpu) == ("21.5\N{DEGREE SIGN}C", "60.0\N{DEGREE SIGN}C")


def test_a_room_with_no_plain_climate_sensor_takes_any_temperature() -> None:
    assert shown(("pi4:bme680-0x77", AIR)).room == "24.0\N{DEGREE SIGN}C"


def test_of_two_climate_sensors_the_first_by_id_is_the_room() -> None:
    found = shown(("pi4:b", {**CLIMATE, "temperature": 30.0}), ("pi4:a", CLIMATE))
    assert found.room == "21.5\N{DEGREE SIGN}C"


def test_burn_in_is_said_instead_of_a_score() -> None:
    without_score = {name: value for name, value in AIR.items() if name != "iaq_score"}
    for air in (AIR, without_score):
        assert shown(("pi4:x", {**air, "iaq_accuracy": 0})).iaq == "burn-in"


def test_nothing_measured_is_two_dashes() -> None:
    assert shown() == Screen("--", "--", "--")
    assert screen_of("{}") == Screen("--", "--", "--")


@pytest.mark.parametrize(("age_ms", "room"), [(30_000, "21.5\N{DEGREE SIGN}C"), (30_001, "--")])
def test_a_reading_older_than_half_a_minute_is_not_shown(age_ms: int, room: str) -> None:
    assert shown(("pi4:dht22-gpio4", CLIMATE), age_ms=age_ms).room == room


@pytest.mark.parametrize("value", [None, "hot", True])
def test_a_value_that_is_no_number_is_not_shown(value: object) -> None:
    assert shown(("revpi:m", {"cpu_temp": value})).hub_cpu == "--"


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="an object was expected"):
        screen_of("[]")


def reading(sensor_id: str, age_ms: int, timestamp_ms: int = NOW_MS) -> dict[str, Any]:
    fresh = {"sensor_id": sensor_id, "timestamp_ms": timestamp_ms, "age_ms": age_ms}
    return {**fresh, "data": CLIMATE}


@pytest.mark.parametrize(("age_ms", "room"), [(30_000, "21.5\N{DEGREE SIGN}C"), (30_001, "--")])
def test_the_hosts_age_counts_and_not_the_clock_of_the_node_that_measured(
    age_ms: int, room: str
) -> None:
    ahead = NOW_MS + 86_400_000
    state = {"readings": [reading("pi4:a", age_ms, NOW_MS - 1)], "last_update": ahead}
    assert screen_of(json.dumps(state)).room == room


def test_the_last_reading_of_a_node_that_is_offline_is_not_shown() -> None:
    nodes = {"pi4": {"role": "spoke", "state": "offline"}}
    state = {"readings": [reading("pi4:a", 0)], "last_update": NOW_MS, "nodes": nodes}
    assert screen_of(json.dumps(state)).room == "--"
