import math
from types import SimpleNamespace
from typing import Any

import pytest

from bus.contract.topics import NAME_PATTERN
from harvester.plugins.builder.guest import harvester_names
from harvester.plugins.builder.guest.harvester_names import refused
from node_agent.plugins import readings


def reading(sensor_id: str, *names: str) -> SimpleNamespace:
    return SimpleNamespace(sensor_id=sensor_id, values=[(name, 1.0) for name in names])


def reasons(value: Any) -> list[str]:
    return [reason for _, reason in refused(value, NAME_PATTERN)]


@pytest.mark.parametrize(
    "value",
    [
        [reading("a", "t", "u"), reading("b-2", "t")],
        [],
        None,
        "text",
        SimpleNamespace(cpu_temp=1.0),
        SimpleNamespace(sensor_id="bme680", temperature=1.0),
    ],
)
def test_what_a_node_takes_is_not_refused(value: Any) -> None:
    assert reasons(value) == []


@pytest.mark.parametrize("sensor_id", ["No Name", "", "a/b", "a-", "x" * 65, "a\n"])
def test_an_id_that_no_topic_holds_is_refused(sensor_id: str) -> None:
    (reason,) = reasons([reading(sensor_id, "t")])
    assert reason.endswith("sensor_id: found no name, expected a-z, 0-9 and dashes")
    assert len(reason) < 150


def test_two_values_and_two_readings_of_one_name_are_refused_at_the_second() -> None:
    twins = [reading("a", "a-b", "a_b"), reading("a", "t")]
    found = list(refused(twins, NAME_PATTERN))
    assert [record for record, _ in found] == twins
    assert [reason for _, reason in found] == [
        "sensor 'a': values: found 'a-b' and 'a_b', expected one value called a_b",
        "sensor 'a': found a second reading, expected one a poll",
    ]


def test_a_reading_without_a_measured_value_and_an_infinite_value_are_told() -> None:
    assert reasons([reading("a")]) == [
        "sensor 'a': values: found no finite value, expected one at least"
    ]
    partly = SimpleNamespace(sensor_id="a", values=[("t", 1.0), ("u", math.nan), ("v", math.inf)])
    assert reasons(partly) == ["sensor 'a': values: 'v': found inf, expected a finite number"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (
            SimpleNamespace(sensor_id="a", timestamp_ms=10**15, values=[("t", 1.0)]),
            "timestamp_ms: found 1000000000000000, expected Unix milliseconds",
        ),
        (reading("a", *(f"v{n}" for n in range(65))), "values: found 65, expected 64 at most"),
        (
            reading("a", "x" * 65),
            f"values: found the name '{'x' * 60}', expected 1 to 64 printable letters",
        ),
        (reading("a", ""), "values: found the name '', expected 1 to 64 printable letters"),
        (
            reading("a", "a\nb"),
            "values: found the name 'a\\nb', expected 1 to 64 printable letters",
        ),
    ],
)
def test_what_is_beyond_the_nodes_bounds_is_told(record: SimpleNamespace, reason: str) -> None:
    assert reasons([record]) == [f"sensor 'a': {reason}"]


def test_the_bounds_are_those_of_the_node() -> None:
    assert harvester_names.MAX_FIELDS == readings.MAX_FIELDS
    assert harvester_names.MAX_NAME_CHARS == readings.MAX_NAME_CHARS
    assert harvester_names.LATEST_MS == readings.LATEST_MS
