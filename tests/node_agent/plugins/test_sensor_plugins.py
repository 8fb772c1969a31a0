"""Sensor plugins as components on simulated hardware: wiring, and codes that are no values."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial, wraps
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bus.config.settings import Config, Grant, HardwareConfig, LedsConfig, SensorsConfig
from bus.contract.messages import Reading, encode
from bus.contract.topics import Topic, TopicKind
from node_agent.actuators.led_buffer import LedBuffer
from node_agent.descriptions.plugin_settings import PluginSettings
from node_agent.hal import system
from node_agent.hal.board import open_hardware
from node_agent.plugins.bus_view import BusView
from node_agent.plugins.readings import Sample, samples
from node_agent.plugins.store import PluginStore
from node_agent.plugins.wit_imports import NodeParts, host_imports
from node_agent.sandbox.bundles.loaded import entry
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.support import PATIENT_S

SETTLED = """
[air]
temperature_c = 21.5
humidity_pct = 45.0
pressure_hpa = 1005.0
gas_kohm = 120.0
"""
MAGENTA = (255, 0, 255)
LEDS = 4


# A poll of this length may leave a sensor out: the BME680's plugin has deadlines in wall time.
STARVED_S = 0.25


def tried_again(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test anew that fails while the machine gave its plugin no processor in a poll."""

    @wraps(test)
    def patient(**fixtures: Any) -> None:
        for _ in range(20):
            Guest.slowest_s = 0.0
            try:
                return test(**fixtures)
            except (AssertionError, KeyError, ValueError):
                if Guest.slowest_s < STARVED_S:
                    raise
        return test(**fixtures)

    return patient


class Guest:
    """One plugin on hardware of its own."""

    # The longest poll of the present test.
    slowest_s: ClassVar[float] = 0.0

    def __init__(self, instance: PluginInstance, export: tuple[str, str], name: str) -> None:
        self.lines: list[str] = []
        self.leds = LedBuffer(LEDS)
        self.settings = PluginSettings()
        self.instance = instance
        self._export = export
        self._name = name

    def set(self, sensor_id: str | None = None, **values: float | bool) -> None:
        self.settings.set(values, sensor_id)

    def poll(self) -> dict[str, dict[str, Any]]:
        began_s = time.monotonic()
        found: list[Sample] = samples(self.instance.call(*self._export), self._name)
        Guest.slowest_s = max(Guest.slowest_s, time.monotonic() - began_s)
        return {sample.sensor_id: sample.data for sample in found}


Start = Callable[..., Guest]


@pytest.fixture
def start(runtime: Runtime, bundles: dict[str, Path], tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def started(
            name: str, grant: Grant, sensors: SensorsConfig, scenario: str = SETTLED
        ) -> Guest:
            file = tmp_path / "scenario.toml"
            file.write_text(scenario)
            config = Config(
                sensors=sensors,
                leds=LedsConfig(count=LEDS),
                hardware=HardwareConfig(driver="simulated", scenario=str(file)),
            )
            hardware = stack.enter_context(closing(open_hardware(config)))
            leds = LedBuffer(LEDS)
            parts = NodeParts(hardware, leds, None, None, dht22_pins=tuple(sensors.dht22_pins))
            store = PluginStore(tmp_path / f"{name}.json")
            loaded = stack.enter_context(runtime.load(bundles[name]))
            ids = [f"dht22-gpio{pin}" for pin in sensors.dht22_pins]
            ids += [f"bme680-{address}" for address in sensors.bme680_addresses]
            settings = PluginSettings(sensors=lambda: ids)
            settings.adopt(loaded.description().settings)
            get_setting = partial(settings.get, settings.described)
            lines: list[str] = []
            instance = stack.enter_context(
                PluginInstance(
                    loaded,
                    host_imports(name, grant, parts, store, get_setting),
                    Limits(PATIENT_S),
                    lines.append,
                )
            )
            guest = Guest(instance, entry(loaded), name)
            guest.lines, guest.leds, guest.settings = lines, leds, settings
            return guest

        yield started


def dht22(start: Start, wired: list[int], granted: list[int], scenario: str = SETTLED) -> Guest:
    return start("dht22", Grant(gpio=granted, leds=[1]), SensorsConfig(dht22_pins=wired), scenario)


def bme680(start: Start, addresses: list[str], scenario: str = SETTLED) -> Guest:
    grant = Grant(i2c=addresses, leds=[2, 3], state=True)
    return start("bme680", grant, SensorsConfig(bme680_addresses=addresses), scenario)


def test_the_oled_survives_the_largest_feed_that_it_can_get(
    start: Start, bundles: dict[str, Path]
) -> None:
    view = BusView()
    data = {f"f{number}": number + 0.5 for number in range(60)}
    for number in range(2000):
        node, sensor = f"n{number % 20}", f"s{number}"
        view.hear(
            Topic(node, TopicKind.READING, sensor),
            encode(Reading(node, sensor, number, "s", number, data)),
        )
    guest = start("oled", Grant(i2c=["0x3c"]), SensorsConfig())
    for _ in range(3):
        guest.instance.call("oled-logic", "update", view.as_json())


def shown(guest: Guest, led: int) -> tuple[int, ...]:
    return tuple((guest.leds.show(lambda _: None) or guest.leds.shown)[led])


@pytest.mark.parametrize("pins", [[4], [22], [4, 22], [17, 27, 5]])
def test_each_dht22_pin_that_is_granted_is_read(start: Start, pins: list[int]) -> None:
    guest = dht22(start, pins, pins)
    for _ in range(2):
        assert guest.poll().keys() == {f"dht22-gpio{pin}" for pin in pins}
    assert not [line for line in guest.lines if "fault" in line]


def test_a_broken_dht22_does_not_hide_another(start: Start) -> None:
    fault = '[[faults]]\ndevice = "dht22-gpio4"\nkind = "no-answer"\n'
    guest = dht22(start, [4, 22], [4, 22], fault)
    for _ in range(3):
        assert guest.poll().keys() == {"dht22-gpio22"}
    assert shown(guest, 1) == MAGENTA
    assert [line for line in guest.lines if "fault" in line] == [
        "fault: dht22-gpio4: no answer at gpio4"
    ]


def test_without_a_grant_the_fault_names_the_pin_that_is_wired(start: Start) -> None:
    guest = dht22(start, [22], [])
    for _ in range(2):
        assert guest.poll() == {}
    assert [line for line in guest.lines if "fault" in line] == [
        "fault: dht22-gpio4: not granted: add gpio = [22] to [plugins.grants.dht22]"
    ]


@pytest.mark.parametrize("addresses", [["0x77"], ["0x76"], ["0x76", "0x77"]])
@tried_again
def test_each_bme680_address_that_is_granted_is_read(start: Start, addresses: list[str]) -> None:
    guest = bme680(start, addresses)
    for _ in range(2):
        found = guest.poll()
        assert found.keys() == {f"bme680-{address}" for address in addresses}
        assert all(
            data["gas_resistance"] == pytest.approx(120, rel=0.01) for data in found.values()
        )


def image(address: str, **registers: str) -> str:
    lines = "\n".join(f'"0x{name[1:]}" = "{data}"' for name, data in registers.items())
    return (
        f'{SETTLED}\n[[register_images]]\ndevice = "bme680-{address}"\n'
        f"[register_images.registers]\n{lines}\n"
    )


@tried_again
def test_a_bme680_that_skips_everything_gives_no_reading_and_a_fault(start: Start) -> None:
    skipped = image("0x77", x1f="80 00 00", x22="80 00 00", x25="80 00", x2a="00 00")
    guest = bme680(start, ["0x77"], skipped)
    assert guest.poll() == guest.poll() == {}
    (fault,) = (line for line in guest.lines if "fault" in line)
    assert fault.startswith("fault: bme680-0x77: temperature: the chip skipped it")
    assert shown(guest, 2) == MAGENTA


@pytest.mark.parametrize(
    ("registers", "absent", "named"),
    [
        ({"x1f": "80 00 00"}, "pressure", "pressure: the chip skipped it (code 0x80000)"),
        ({"x25": "80 00"}, "humidity", "humidity: the chip skipped it (code 0x8000)"),
        ({"x25": "ff ff"}, "humidity", "humidity: off scale (code 0xffff)"),
        ({"x25": "f0 00"}, "humidity", "%RH, expected 0 to 100"),
        ({"x2a": "00 30"}, "gas_resistance", "gas: off scale (code 0 in gas range 0)"),
        ({"x2a": "ff ff"}, "gas_resistance", "gas: off scale (code 1023 in gas range 15)"),
        ({"x2a": "55 15"}, "gas_resistance", "gas: not valid, or its heater is not stable"),
    ],
)
@tried_again
def test_one_quantity_that_was_not_measured_is_absent_and_named(
    start: Start, registers: dict[str, str], absent: str, named: str
) -> None:
    guest = bme680(start, ["0x77"], image("0x77", **registers))
    for _ in range(2):
        data = guest.poll()["bme680-0x77"]
        quantities = {"temperature", "humidity", "pressure", "gas_resistance"}
        assert quantities - data.keys() == {absent}
        assert data["iaq_accuracy"] == 0
        assert "iaq_score" not in data
    (fault,) = (line for line in guest.lines if "fault" in line)
    assert named in fault
    is_rated = absent == "pressure"
    assert ("air: calibrating" in guest.lines) == is_rated
    assert shown(guest, 2) == MAGENTA


def test_memory_and_heat_that_the_machine_does_not_measure_are_absent_with_a_fault(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "memory_mb", lambda: None)
    guest = start("pizero-monitor", Grant(), SensorsConfig(), "[cpu]\ntemperature_c = nan\n")
    for _ in range(2):
        (data,) = guest.poll().values()
        assert not {"cpu_temp", "memory_used_mb", "memory_total_mb"} & data.keys()
        assert data["uptime_seconds"] > 0
    assert guest.lines == [
        "fault: CPU temperature: no thermal zone of a CPU has a valid value",
        "fault: memory: /proc/meminfo has no MemAvailable",
    ]


DARK, GREEN, RED = (0, 0, 0), (0, 255, 0), (255, 0, 0)


def test_a_limit_that_is_set_holds_from_the_next_poll_on(start: Start) -> None:
    guest = dht22(start, [4], [4])
    guest.poll()
    assert shown(guest, 1) == GREEN
    guest.set(high_c=18.0)
    guest.poll()
    assert shown(guest, 1) == RED
    assert guest.lines[-1].startswith("temperature: high at 2")
    guest.set(high_c=40.0)
    guest.poll()
    assert shown(guest, 1) == GREEN


@tried_again
def test_each_dht22_has_limits_and_an_led_of_its_own(start: Start) -> None:
    grant = Grant(gpio=[4, 22], leds=[1, 3])
    guest = start("dht22", grant, SensorsConfig(dht22_pins=[4, 22]))
    guest.set("dht22-gpio22", high_c=18.0, led=3)
    guest.poll()
    assert (shown(guest, 1), shown(guest, 3)) == (GREEN, RED)
    guest.set("dht22-gpio22", led=-1)
    guest.poll()
    assert (shown(guest, 1), shown(guest, 3)) == (GREEN, DARK)
    guest.set("dht22-gpio22", led=1)
    guest.poll()
    assert (shown(guest, 1), shown(guest, 3)) == (RED, DARK)


@tried_again
def test_each_bme680_has_offsets_and_an_altitude_of_its_own(start: Start) -> None:
    guest = bme680(start, ["0x76", "0x77"])
    plain = guest.poll()
    guest.set("bme680-0x77", temperature_offset_c=-1.5, humidity_offset_pct=4.0)
    guest.set("bme680-0x76", temperature_offset_c=0.5, altitude_m=500.0)
    found = guest.poll()
    offsets = {
        sensor: (
            round(found[sensor]["temperature"] - plain[sensor]["temperature"], 1),
            round(found[sensor]["humidity"] - plain[sensor]["humidity"], 1),
        )
        for sensor in plain
    }
    assert offsets == {"bme680-0x77": (-1.5, 4.0), "bme680-0x76": (0.5, 0.0)}
    # ISO 2533:1975: 954.608 hPa at 500 m, where sea level has 1013.25.
    pressure = found["bme680-0x76"]["pressure"]
    assert found["bme680-0x76"]["pressure_sea_level"] == pytest.approx(
        pressure * 1013.25 / 954.608, abs=0.01
    )
    assert "pressure_sea_level" not in found["bme680-0x77"]
    assert isinstance(found["bme680-0x76"]["iaq_accuracy"], int)


PURPLES = {(128, 0, 255), (32, 0, 64)}


@tried_again
def test_each_bme680_may_have_an_led_of_its_own_and_the_former_one_goes_dark(start: Start) -> None:
    guest = bme680(start, ["0x76", "0x77"])
    guest.poll()
    assert shown(guest, 2) in PURPLES
    guest.set("bme680-0x76", led=3)
    guest.poll()
    assert {shown(guest, 2), shown(guest, 3)} <= PURPLES
    guest.set(led=3)
    guest.poll()
    assert (shown(guest, 2), shown(guest, 3) in PURPLES) == ((0, 0, 0), True)


@tried_again
def test_another_heater_of_a_bme680_calibrates_its_air_anew(start: Start) -> None:
    guest = bme680(start, ["0x77"])
    assert "gas_resistance" in guest.poll()["bme680-0x77"]
    guest.set(heater_c=250.0, heater_ms=100)
    assert "gas_resistance" in guest.poll()["bme680-0x77"]
    assert "baseline: the heater is set to 250 degC, 100 ms: calibrating" in guest.lines


def test_the_limits_of_the_cpu_are_settings(start: Start) -> None:
    grant = Grant(leds=[3], fan=True, buzzer=True)
    guest = start("pi4-monitor", grant, SensorsConfig(), "[cpu]\ntemperature_c = 55.0\n")
    guest.poll()
    assert shown(guest, 3) == GREEN
    guest.set(cpu_hot_c=50.0)
    guest.poll()
    assert shown(guest, 3) == RED
    assert "CPU: above 50 degC" in guest.lines


def test_the_led_of_a_monitor_is_a_setting(start: Start) -> None:
    grant = Grant(leds=[2, 3], fan=True, buzzer=True)
    guest = start("pi4-monitor", grant, SensorsConfig(), "[cpu]\ntemperature_c = 55.0\n")
    guest.poll()
    guest.set(led=2)
    guest.poll()
    assert (shown(guest, 2), shown(guest, 3)) == (GREEN, DARK)
