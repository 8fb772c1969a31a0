"""Examples on the bus: a new sensor is a folder and a configuration table, without host code."""

from collections.abc import Callable

import pytest

from bus.contract.messages import Log, PluginState, Reading
from bus.contract.topics import TopicKind
from tests.examples.conftest import Shed
from tests.support import PROJECT, Listener, Said

WAIT_S = 60.0


def reading(ears: Listener, sensor: str, *, after: int = 0) -> Reading:
    said = ears.wait_topic(f"harvester/shed/readings/{sensor}", WAIT_S, after=after)
    assert isinstance(said.message, Reading)
    return said.message


def test_every_example_is_built_and_runs(packed_examples: list[str], shed: Listener) -> None:
    def runs(said: Said) -> bool:
        return isinstance(said.message, PluginState) and said.message.state == "running"

    for name in packed_examples:
        shed.wait_for(lambda said: runs(said) and said.topic.name == name, WAIT_S)  # noqa: B023 - called at once


def test_the_sht31_is_heard_on_the_bus(shed: Listener) -> None:
    data = reading(shed, "sht31-0x44").data
    # One step of 16 bits is 0.0027 degC and 0.0015 %RH.
    assert data == {
        "temperature": pytest.approx(23.4, abs=0.0014),
        "humidity": pytest.approx(56.7, abs=0.0008),
    }


def test_the_mcp3008_is_heard_on_the_bus_and_follows_its_scenario(shed: Listener) -> None:
    def has(light_v: float) -> Callable[[Said], bool]:
        # One step of 10 bits is 3.2 mV.
        wanted = {
            "light_voltage": pytest.approx(light_v, abs=0.0033),
            "knob_voltage": pytest.approx(2.2, abs=0.0033),
        }
        return lambda said: isinstance(said.message, Reading) and said.message.data == wanted

    shed.wait_for(has(1.1), WAIT_S)
    shed.wait_for(has(3.0), WAIT_S)


def test_the_gps_is_heard_on_the_bus(shed: Listener) -> None:
    data = reading(shed, "gps").data
    assert data == {
        "latitude": pytest.approx(53.5442, abs=0.0006),
        "longitude": pytest.approx(9.9653, abs=0.0006),
        "altitude": 6.2,
        "speed": pytest.approx(0.720, abs=0.001),
        "satellites": 9,
    }


def test_a_checksum_that_fails_is_a_fault_and_no_number(shed: Shed) -> None:
    def is_fault(said: Said) -> bool:
        return isinstance(said.message, Log) and "checksum" in said.message.message

    reading(shed, "sht31-0x44")
    shed.trigger()
    shed.wait_for(is_fault, WAIT_S)
    shed.trigger()
    after = len(shed.said)
    assert reading(shed, "sht31-0x44", after=after).data["humidity"] == pytest.approx(56.7, abs=0.1)
    heard = [s.message for s in shed.said if s.topic.kind is TopicKind.READING]
    sht31 = [r.data for r in heard if isinstance(r, Reading) and r.sensor_id == "sht31-0x44"]
    assert {round(float(data["temperature"]), 1) for data in sht31} == {23.4}
    failed = [s for s in shed.said if b'"failed"' in s.payload and s.topic.kind is TopicKind.PLUGIN]
    assert failed == []


@pytest.mark.parametrize("name", ["sht31", "gps", "mcp3008"])
def test_no_host_code_knows_an_example(name: str) -> None:
    packages = ("broker", "hub_app", "node_agent", "harvester", "pizero_native")
    host = [file for package in packages for file in (PROJECT / package).rglob("*.py")]
    # It tells where the plugin for a chip is that it found.
    installer = PROJECT / "harvester" / "install"
    naming = [
        str(file)
        for file in host
        if installer not in file.parents and f'"{name}' in file.read_text()
    ]
    assert naming == []
