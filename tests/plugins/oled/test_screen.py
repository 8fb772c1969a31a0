"""OLED screen: the values that it chooses from the readings of all nodes, in their own words."""

import json
from typing import Any

import msgspec
import pytest

from bus.contract.description import SensorDescription
from harvester.plugins import manifest
from tests.plugins.oled.modules import layout, line_choice, screen
from tests.support import PROJECT

Row = layout.Row
C = "\N{DEGREE SIGN}C"
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
NOTHING = [Row("", name, "--") for name in ("temperature", "iaq_score", "cpu_temp")]


def description(plugin: str, title: str = "", area: str = "") -> dict[str, Any]:
    """Return what a node says of a sensor of a shipped plugin, as JSON."""
    fields = manifest.read(PROJECT / "plugins" / plugin / "plugin.toml").description.fields
    said = SensorDescription(plugin, title, area, 2.0, fields)
    found: dict[str, Any] = msgspec.to_builtins(said)
    return found


def reading(
    sensor_id: str, data: dict[str, Any], said: dict[str, Any] | None = None, **times: int
) -> dict[str, Any]:
    found = {"sensor_id": sensor_id, "timestamp_ms": NOW_MS, "age_ms": 0, "data": data} | times
    return found if said is None else {**found, "description": said}


def shown(
    *readings: dict[str, Any], lines: str = "", nodes: Any = NODES, fresh_s: float = 30
) -> list[Any]:
    state = {"readings": readings, "last_update": NOW_MS, "nodes": nodes}
    return screen.rows_of(json.dumps(state), line_choice.parse(lines), fresh_s)


HUB = reading("revpi:revpi-monitor", {"cpu_temp": 48.26}, description("revpi-monitor"))
PI4 = reading("pi4:pi4-monitor", {"cpu_temp": 55.0}, description("pi4-monitor"))
BME680 = reading("pi4:bme680-0x77", AIR, description("bme680"))
DHT22 = reading("pi4:dht22-gpio4", CLIMATE, description("dht22", "Sofa"))
ALL = (HUB, PI4, BME680, DHT22)


def test_room_air_and_hub_are_shown_in_the_words_of_their_descriptions() -> None:
    assert shown(*ALL) == [
        Row("Sofa", "Temperature", "21.5", C, "normal"),
        Row("pi4", "Air quality", "42", "IAQ", "excellent"),
        Row("revpi", "CPU", "48.3", C),
    ]


def test_sensors_and_nodes_may_be_called_anything() -> None:
    found = shown(
        reading("x:z", CLIMATE),
        reading("y:q", {"cpu_temp": 60.0}),
        nodes={"y": {"role": "hub"}, "x": {}},
    )
    assert found == [Row("x", "temperature", "21.5"), NOTHING[1], Row("y", "cpu_temp", "60")]


def test_a_room_with_no_plain_climate_sensor_takes_any_temperature() -> None:
    assert shown(BME680)[0] == Row("pi4", "Temperature", "24.0", C)


def test_of_two_climate_sensors_the_first_by_id_is_the_room() -> None:
    found = shown(reading("pi4:b", {**CLIMATE, "temperature": 30.0}), reading("pi4:a", CLIMATE))
    assert found[0].value == "21.5"


def test_the_descriptions_word_is_said_while_there_is_no_score() -> None:
    without_score = {name: value for name, value in AIR.items() if name != "iaq_score"}
    for air in (AIR, without_score):
        data = {**air, "iaq_accuracy": 0}
        said = description("bme680", area="Attic")
        assert shown(reading("pi4:x", data, said))[1] == Row("Attic", "Air quality", "calibrating")
        assert shown(reading("pi4:x", data))[1] == Row("pi4", "iaq_score", "--")


def test_nothing_measured_is_two_dashes() -> None:
    assert shown() == NOTHING
    assert screen.rows_of("{}") == NOTHING


@pytest.mark.parametrize("value", [None, "hot", True])
def test_a_value_that_is_no_number_is_not_shown(value: object) -> None:
    assert shown(reading("revpi:m", {"cpu_temp": value}))[2].value == "--"


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="an object was expected"):
        screen.rows_of("[]")


@pytest.mark.parametrize(("age_ms", "room"), [(30_000, "21.5"), (30_001, "--")])
def test_a_reading_older_than_half_a_minute_is_not_shown(age_ms: int, room: str) -> None:
    old = reading("pi4:dht22-gpio4", CLIMATE, timestamp_ms=NOW_MS - age_ms)
    del old["age_ms"]
    assert shown(old)[0].value == room


@pytest.mark.parametrize(("age_ms", "room"), [(30_000, "21.5"), (30_001, "--")])
def test_the_hosts_age_counts_and_not_the_clock_of_the_node_that_measured(
    age_ms: int, room: str
) -> None:
    behind = reading("pi4:a", CLIMATE, timestamp_ms=NOW_MS - 86_400_000, age_ms=age_ms)
    assert shown(behind)[0].value == room
    assert shown(behind, fresh_s=31)[0].value == "21.5"


def test_the_last_reading_of_a_node_that_is_offline_is_not_shown() -> None:
    nodes = {"pi4": {"role": "spoke", "state": "offline"}}
    assert shown(reading("pi4:a", CLIMATE), nodes=nodes)[0].value == "--"


def test_chosen_values_are_shown_in_the_order_in_which_they_were_typed() -> None:
    assert shown(*ALL, lines="revpi:*, pi4:bme680-0x77.pressure, dht22-gpio4.humidity") == [
        Row("revpi", "CPU", "48.3", C),
        Row("pi4", "Pressure", "1005.0", "hPa"),
        Row("Sofa", "Humidity", "40.0", "%RH", "comfortable"),
    ]


def test_a_star_is_every_sensors_main_value_or_every_value_of_a_sensor() -> None:
    assert [row.label for row in shown(*ALL, lines="pi4:*")] == [
        "Air quality",
        "Temperature",
        "CPU",
    ]
    data = {"b": 1, "a": 2, **CLIMATE}
    found = shown(reading("pi4:x", data, description("dht22")), lines="x.*")
    assert [row.label for row in found] == ["Temperature", "Humidity", "b", "a"]


def test_what_is_chosen_and_not_there_is_two_dashes() -> None:
    assert shown(*ALL, lines="pizero:*, pi4:dht22-gpio4.pressure") == [
        Row("", "pizero:*", "--"),
        Row("", "pi4:dht22-gpio4.pressure", "--"),
    ]


def test_rows_that_do_not_fit_take_turns() -> None:
    rows = [Row("", "", str(n)) for n in range(7)]

    def at(now_s: float) -> list[str]:
        return [row.value for row in screen.screen_at(rows, 3, 6.0, now_s)]

    assert [at(now_s) for now_s in (0, 5.9, 6, 12, 18)] == [
        ["0", "1", "2"],
        ["0", "1", "2"],
        ["3", "4", "5"],
        ["6"],
        ["0", "1", "2"],
    ]
    assert screen.screen_at(rows[:3], 3, 6.0, 1e6) == rows[:3]
    assert screen.screen_at([], 3, 6.0, 1.0) == []
