import statistics
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import MisconfiguredError
from node_agent.hal.simulated import scenario_file
from node_agent.hal.simulated.scenario import Curve, NoAnswer, Scenario, StuckData, frozen_since

SHIPPED = Path(__file__).parents[4] / "config" / "scenarios"


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("t_s", "held", "looped"),
    [(0, 10, 10), (5, 15, 15), (10, 20, 20), (15, 10, 10), (20, 0, 10), (25, 0, 15), (42, 0, 12)],
)
def test_a_curve_joins_its_keyframes_and_then_holds_or_begins_anew(
    t_s: float, held: float, looped: float
) -> None:
    keyframes = [(0.0, 10.0), (10.0, 20.0), (20.0, 0.0)]
    assert Curve(keyframes=keyframes).at(t_s) == held
    assert Curve(keyframes=keyframes, loop=True).at(t_s) == looped


def test_a_curve_that_begins_late_has_its_first_value_before() -> None:
    assert Curve(keyframes=[(5, 1), (6, 2)]).at(0) == 1


def test_one_keyframe_is_a_constant_even_in_a_loop() -> None:
    assert Curve(keyframes=[(0, 7)], loop=True).at(99) == 7


@given(st.floats(0, 10_000))
def test_the_same_time_and_seed_give_the_same_value(t_s: float) -> None:
    one, other = Scenario(seed=3), Scenario(seed=3)
    curve = one.air.gas_kohm
    assert one.value(curve, "gas", t_s) == other.value(curve, "gas", t_s)


def test_noise_is_as_large_as_the_curve_says_and_differs_between_names() -> None:
    scenario, curve = Scenario(), Curve(keyframes=[(0, 50)], noise=2)
    values = [scenario.value(curve, "a", t) for t in range(500)]
    assert statistics.mean(values) == pytest.approx(50, abs=0.5)
    assert statistics.stdev(values) == pytest.approx(2, abs=0.3)
    assert values != [scenario.value(curve, "b", t) for t in range(500)]


def test_the_default_room_is_pleasant_and_changes_from_one_cycle_to_the_next() -> None:
    scenario = Scenario()
    values = [scenario.value(scenario.room.temperature_c, "t", 2.0 * n) for n in range(300)]
    assert 20.5 < min(values) < max(values) < 24.5
    assert all(earlier != later for earlier, later in pairwise(values))


def test_a_number_stands_for_a_curve_that_never_changes() -> None:
    assert Scenario().value(21.5, "t", 3) == 21.5


def test_a_fault_is_active_within_its_window_only() -> None:
    fault = NoAnswer(device="bme680", from_s=10, until_s=20)
    assert [fault.is_active(t) for t in (9.9, 10, 19.9, 20)] == [False, True, True, False]
    assert NoAnswer(device="bme680", from_s=10).is_active(1e9)


@pytest.mark.parametrize(
    ("named", "device", "expected"),
    [
        ("bme680-0x77", "bme680-0x77", True),
        ("bme680-0x77", "bme680-0x76", False),
        ("bme680", "bme680-0x76", True),
        ("dht22", "dht22-gpio4", True),
        ("i2c", "ssd1306-0x3c", True),
        ("i2c", "dht22-gpio4", False),
        ("uart", "uart", True),
        ("light", "light-0x23", True),
        ("i2c", "light-0x23", True),
        ("light-0x5c", "light-0x23", False),
        ("uart", "gps-uart", True),
        ("gps", "gps-uart", True),
        ("spi", "gps-uart", False),
    ],
)
def test_a_fault_names_one_device_or_a_kind_or_the_bus(
    named: str, device: str, expected: bool
) -> None:  # fmt: skip
    assert NoAnswer(device=named).concerns(device) is expected


def test_values_freeze_at_the_beginning_of_the_first_stuck_fault() -> None:
    faults = [StuckData(device="i2c", from_s=30), StuckData(device="bme680", from_s=20)]
    assert frozen_since(faults, 50) == 20
    assert frozen_since([], 50) == 50


def test_no_file_is_the_default_scenario() -> None:
    assert scenario_file.load("") == Scenario()


@pytest.mark.parametrize("name", ["heat-wave", "bad-air", "broken-wire", "busy-node"])
def test_the_shipped_scenarios_load(name: str) -> None:
    assert scenario_file.load(str(SHIPPED / f"{name}.toml")).title


def test_the_heat_wave_passes_30_degrees_once_and_for_good_within_20_seconds() -> None:
    scenario = scenario_file.load(str(SHIPPED / "heat-wave.toml"))
    values = [scenario.value(scenario.room.temperature_c, "t", 0.1 * n) for n in range(3000)]
    assert values[0] < 25
    first_hot = next(n for n, value in enumerate(values) if value > 30)
    assert first_hot < 200
    assert min(values[first_hot:]) > 28  # never out of the alarm's deadband again


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[rooom]", "rooom: found an unknown key, expected one of title, seed, room,"),
        (
            '[room]\ntemperature_c = "warm"',
            "room.temperature_c: found 'warm', expected a number or a table",
        ),
        (
            "[air.gas_kohm]\nkeyframes = [[0, 1], [0, 2]]",
            "air.gas_kohm: keyframes: found times [0.0, 0.0], expected each to be later",
        ),
        (
            "[air.gas_kohm]\nkeyframes = []",
            "air.gas_kohm.keyframes: found [], expected an array of at least 1 elements",
        ),
        (
            '[air.gas_kohm]\nkeyframes = [[0, "x"]]',
            "air.gas_kohm.keyframes[0][1]: found 'x', expected a number",
        ),
        (
            "[air.gas_kohm]\nkeyframes = [[0, 1, 2]]",
            "air.gas_kohm.keyframes[0]: found [0, 1, 2], expected an array of 2",
        ),
        ("[air.gas_kohm]\nkeyframes = [[0, 1]]\nnoise = -1", "air.gas_kohm.noise: found -1"),
        ("faults = [3]", "faults[0]: found 3, expected a table"),
        ('[[faults]]\ndevice = "i2c"', "faults[0].kind: found nothing, expected one of no-answer,"),
        (
            '[[faults]]\nkind = "gremlin"\ndevice = "i2c"',
            "found 'gremlin', expected one of no-answer,",
        ),
        (
            "[chips.toaster]\nheat_w = 900",
            "chips: found 'toaster', expected a plugin's name, one of light, oven",
        ),
        ("chips.light = 3", "chips.light: found 3, expected a table"),
        (
            '[[faults]]\nkind = "no-answer"\ndevice = "toaster"',
            "faults[0].device: found 'toaster', expected a device such",
        ),
        ('[[faults]]\nkind = "no-answer"\ndevice = "i2c"\nfrom_s = 9\nuntil_s = 9', "until_s"),
        ('[[faults]]\nkind = "wrong-id"\ndevice = "ssd1306"', "expected a bme680"),
        ('[[faults]]\nkind = "bit-errors"\ndevice = "i2c"\nrate = 2', "faults[0].rate: found 2"),
        ('[[register_images]]\ndevice = "bme680-0x77"\nregisters = {"0x1d" = "xy"}', "hexadecimal"),
        ("title = ", "no valid TOML"),
    ],
)
def test_a_mistake_is_one_line_with_file_place_and_expectation(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(MisconfiguredError) as caught:
        scenario_file.load(path, plugins=("oven", "light"))
    message = str(caught.value)
    assert message.startswith(path)
    assert complaint in message
    assert "\n" not in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match=r"nothing\.toml: No such file"):
        scenario_file.load(str(tmp_path / "nothing.toml"))


def test_values_are_laid_over_a_file_key_by_key(tmp_path: Path) -> None:
    path = written(tmp_path, "[room]\ntemperature_c = 20\nhumidity_pct = 50")
    values = {"room": {"temperature_c": 30.0}, "seed": 4}
    scenario = scenario_file.load(path, values)
    assert (scenario.room.temperature_c, scenario.room.humidity_pct) == (30.0, 50)
    assert scenario.seed == 4


def test_a_value_that_is_none_is_named_without_a_file() -> None:
    with pytest.raises(MisconfiguredError, match=r"^scenario: cpu\.usage: found an unknown key"):
        scenario_file.load("", {"cpu": {"usage": 5}})
