"""Own health of the light service on simulated hardware: a scenario sets each value."""

from contextlib import closing
from typing import Any

import msgspec

from bus.config.settings import Config
from node_agent.hal.board import open_hardware
from pizero_native.own_health import OwnHealth


def sample(**scenario: Any) -> dict[str, Any]:
    hardware = {"driver": "simulated", "scenario_values": scenario}
    with closing(open_hardware(msgspec.convert({"hardware": hardware}, Config))) as opened:
        return dict(OwnHealth(opened).sample())


def test_temperature_load_and_memory_are_those_of_the_scenario() -> None:
    found = sample(
        cpu={"temperature_c": 81.54, "usage_pct": 96.31},
        memory={"used_mb": 380, "total_mb": 416},
    )
    assert found.pop("uptime_seconds") > 0
    assert found == {
        "cpu_temp": 81.5,
        "cpu_usage": 96.3,
        "memory_used_mb": 380,
        "memory_total_mb": 416,
    }


def test_what_a_scenario_leaves_unmeasured_is_absent() -> None:
    nan = float("nan")
    found = sample(cpu={"temperature_c": nan, "usage_pct": nan}, memory={"used_mb": nan})
    assert list(found) == ["uptime_seconds"]
